//! What `cargo lambda build` made, for each architecture that the template can deploy: whether Lambda can run it at all.
//!
//! Runs where `BOOTSTRAPS_OF_EACH` names the folder with a folder for each architecture: `make test-bootstraps`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use two_factor_tests::template::{Template, text_of};

/// The machine that an ELF file is for (`e_machine`): <https://gabi.xinuos.com/elf/a-emachine.html>.
const MACHINES: [(&str, u16); 2] = [("x86_64", 62), ("arm64", 183)];

/// The C library of the functions' operating system: <https://docs.aws.amazon.com/linux/al2023/ug/compare-with-al2.html>.
const GLIBC: (&str, (u32, u32)) = ("provided.al2023", (2, 34));

#[test]
fn lambda_can_run_what_was_built_for_each_architecture() {
    let Some(folder) = std::env::var_os("BOOTSTRAPS_OF_EACH").map(PathBuf::from) else {
        eprintln!("skipped: needs BOOTSTRAPS_OF_EACH, see `make test-bootstraps`");
        return;
    };
    let template = Template::load();
    assert_eq!(template.part("Globals")["Function"]["Runtime"], GLIBC.0);
    let architectures: Vec<_> =
        template.part("Parameters")["Architecture"]["AllowedValues"].as_array().unwrap().iter().map(text_of).collect();
    assert_eq!(architectures.len(), MACHINES.len());
    for architecture in architectures {
        let (_, machine) = MACHINES.iter().find(|(name, _)| *name == architecture).unwrap();
        for function in template.resources("AWS::Serverless::Function").into_values() {
            let binary = text_of(&function["Metadata"]["BuildProperties"]["Binary"]);
            let bootstrap = folder.join(&architecture).join(binary).join("bootstrap");
            is_for(&bootstrap, *machine);
        }
    }
}

/// Fails unless `path` is a program for this machine that asks for no younger C library than there is.
fn is_for(path: &Path, machine: u16) {
    let file = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(file[..6], *b"\x7fELF\x02\x01", "{}: a 64-bit little-endian ELF file", path.display());
    assert_eq!(u16::from_le_bytes([file[18], file[19]]), machine, "{}: the machine", path.display());
    let needed = glibc_versions(&file);
    let newest = needed.iter().max().unwrap_or_else(|| panic!("{}: names the C library that it needs", path.display()));
    assert!(*newest <= GLIBC.1, "{}: needs glibc {}.{}", path.display(), newest.0, newest.1);
    eprintln!("{}: machine {machine}, glibc {}.{}", path.display(), newest.0, newest.1);
}

/// The versions that symbols are asked for in, as the file spells them: `GLIBC_2.17`.
fn glibc_versions(file: &[u8]) -> Vec<(u32, u32)> {
    let prefix = b"GLIBC_";
    let starts = file.windows(prefix.len()).enumerate().filter(|(_, bytes)| bytes == prefix).map(|(at, _)| at + prefix.len());
    let version = |start: usize| {
        let text: String = file[start..].iter().take(8).map(|byte| char::from(*byte)).collect();
        let mut numbers = text.split(|character: char| !character.is_ascii_digit()).map(str::parse);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    };
    starts.filter_map(version).collect()
}

#[test]
fn the_newest_version_of_the_c_library_counts() {
    assert_eq!(glibc_versions(b"\0GLIBC_2.2.5\0x\0GLIBC_2.34\0GLIBC_PRIVATE\0GLIBC_2.9\0"), [(2, 2), (2, 34), (2, 9)]);
    assert!((2, 9) < GLIBC.1 && (2, 35) > GLIBC.1);
}
