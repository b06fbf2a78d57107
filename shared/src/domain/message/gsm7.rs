//! The alphabet of text messages: what fits into one segment (3GPP TS 23.038).

/// Septets in one segment (3GPP TS 23.038).
pub const SEGMENT_SEPTETS: usize = 160;

/// How many septets `text` takes in the GSM-7 default alphabet with its extension table, which takes two a character; `None` if
/// a character is in neither (3GPP TS 23.038, 6.2.1).
pub fn gsm7_septets(text: &str) -> Option<usize> {
    const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
    const EXTENSION: &str = "\u{c}^{}\\[~]|€";
    text.chars()
        .map(|character| match character {
            c if BASIC.contains(c) => Some(1),
            c if EXTENSION.contains(c) => Some(2),
            _ => None,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn septets_count_the_extension_table_twice() {
        assert_eq!(gsm7_septets("a€"), Some(3));
        assert_eq!(gsm7_septets("ç"), None, "only the capital is in the alphabet");
    }
}
