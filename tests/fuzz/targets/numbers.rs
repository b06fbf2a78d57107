//! What people type: phone numbers (S14), codes of both kinds, users, and settings for numbers for tests.

#![no_main]

use libfuzzer_sys::fuzz_target;
use two_factor::domain::{AllowedCountries, PhoneNumber, Proof, UserId};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(phone) = PhoneNumber::parse(text, &AllowedCountries::All) {
        let again = PhoneNumber::parse(phone.as_e164(), &AllowedCountries::All);
        assert_eq!(again.as_ref().map(PhoneNumber::as_e164), Ok(phone.as_e164()), "one spelling");
        assert!(!phone.masked().contains(&phone.as_e164()[phone.as_e164().len() - 7..]), "masked");
    }
    match Proof::parse(text) {
        Ok(Proof::Sms(code)) => assert!(code.expose().len() == 6 && code.expose().bytes().all(|byte| byte.is_ascii_digit())),
        Ok(Proof::Backup(code)) => {
            let again = Proof::parse(&code.expose());
            assert!(matches!(again, Ok(Proof::Backup(same)) if same == code), "a code reads as it is shown");
        }
        Err(_) => {}
    }
    let _ = UserId::parse(text);
});
