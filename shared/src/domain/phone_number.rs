//! Phone numbers: parsed once, at the edge, and carried in one spelling from then on (S14).

use std::{collections::BTreeSet, fmt};

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumberFormat, PhoneNumberType};

/// The countries whose numbering plans libphonenumber knows: written down here, since loading its data at every start would cost a
/// start more than it says. A test compares the two.
const COUNTRIES: &str = "AC AD AE AF AG AI AL AM AO AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BW BY BZ CA CC CD \
    CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE \
    GF GG GH GI GL GM GN GP GQ GR GT GU GW GY HK HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN \
    KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ \
    NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH \
    SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TA TC TD TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG US UY UZ VA VC VE VG \
    VI VN VU WF WS XK YE YT ZA ZM ZW";

/// A country, by its ISO 3166-1 alpha-2 code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Country([u8; 2]);

impl Country {
    /// The country with this code: two capital letters. Whether such a country exists is not looked up.
    pub fn parse(code: &str) -> Option<Self> {
        let bytes: [u8; 2] = code.as_bytes().try_into().ok()?;
        bytes.iter().all(u8::is_ascii_uppercase).then_some(Self(bytes))
    }

    /// Whether phone numbers of this country exist, as far as libphonenumber knows.
    pub fn exists(self) -> bool {
        COUNTRIES.split(' ').any(|code| code == self.as_str())
    }

    /// The two letters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("ZZ")
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where numbers may be enrolled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedCountries {
    /// Everywhere: `*`.
    All,
    /// In these countries only.
    Only(BTreeSet<Country>),
}

impl AllowedCountries {
    /// Whether a number of `country` may be enrolled.
    pub fn contains(&self, country: Country) -> bool {
        match self {
            Self::All => true,
            Self::Only(countries) => countries.contains(&country),
        }
    }
}

/// A valid number that can receive SMS, in E.164.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PhoneNumber {
    e164: String,
    calling_code: u16,
    country: Country,
}

/// Why a text is not a number that can be enrolled. Never repeats the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PhoneNumberError {
    /// Not `+` and 2 to 15 digits (ITU-T E.164).
    #[error("a phone number is written in E.164: + and the country calling code, then the number, digits only")]
    NotE164,
    /// No country has such a number.
    #[error("there is no such phone number")]
    NoSuchNumber,
    /// The number's country is not one of those allowed.
    #[error("phone numbers of this country are not accepted")]
    CountryNotAllowed,
    /// A landline, or a premium, shared-cost, toll-free, pager or other special number.
    #[error("this kind of phone number cannot receive text messages")]
    NoSms,
}

impl PhoneNumber {
    /// Parses a number and judges, with libphonenumber's data, whether it may be enrolled. Two spellings of a number that
    /// differ only in a national prefix give the same result.
    ///
    /// # Errors
    /// See [`PhoneNumberError`].
    pub fn parse(text: &str, allowed: &AllowedCountries) -> Result<Self, PhoneNumberError> {
        let digits = text.trim().strip_prefix('+').ok_or(PhoneNumberError::NotE164)?;
        let digits: String = digits.chars().filter(|character| !is_separator(*character)).collect();
        let is_e164 =
            (2..=15).contains(&digits.len()) && !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit());
        if !is_e164 {
            return Err(PhoneNumberError::NotE164);
        }
        let number = PHONE_NUMBER_UTIL.parse(format!("+{digits}"), None).map_err(|_| PhoneNumberError::NoSuchNumber)?;
        if !number.is_valid() {
            return Err(PhoneNumberError::NoSuchNumber);
        }
        let country = number
            .get_region_code()
            .and_then(|region| Country::parse(region.as_region_str().as_str()))
            .ok_or(PhoneNumberError::NoSms)?;
        if !allowed.contains(country) {
            return Err(PhoneNumberError::CountryNotAllowed);
        }
        match number.get_type() {
            PhoneNumberType::Mobile | PhoneNumberType::FixedLineOrMobile => {}
            _ => return Err(PhoneNumberError::NoSms),
        }
        let e164 = number.format_as(PhoneNumberFormat::E164).into_owned();
        if is_premium_exchange(&e164) {
            return Err(PhoneNumberError::NoSms);
        }
        Ok(Self { e164, calling_code: u16::try_from(number.country_code).map_err(|_| PhoneNumberError::NoSuchNumber)?, country })
    }

    /// A number that was parsed before and comes back from storage. It is not judged again: that would cost every request the
    /// loading of libphonenumber's data.
    pub fn from_storage(e164: String, calling_code: u16, country: Country) -> Option<Self> {
        e164.starts_with(&format!("+{calling_code}")).then_some(Self { e164, calling_code, country })
    }

    /// `+`, country calling code and number, without spaces.
    pub fn as_e164(&self) -> &str {
        &self.e164
    }

    /// The country calling code, without `+`.
    pub const fn calling_code(&self) -> u16 {
        self.calling_code
    }

    /// The country whose numbering plan the number belongs to.
    pub const fn country(&self) -> Country {
        self.country
    }

    /// What may be shown and logged: `+1****1234`.
    pub fn masked(&self) -> String {
        let last_four = self.e164.len().saturating_sub(4);
        format!("+{}****{}", self.calling_code, self.e164.get(last_four..).unwrap_or_default())
    }

    /// Loads libphonenumber's data now, so that the first request does not wait for it.
    pub fn warm_up() {
        let _ = Self::parse("+14155550100", &AllowedCountries::All);
    }
}

/// What people put between the digits of a number: spaces, hyphens, dots and brackets.
fn is_separator(character: char) -> bool {
    character.is_whitespace() || matches!(character, '-' | '\u{2010}' | '\u{2011}' | '.' | '(' | ')' | '[' | ']')
}

/// In the North American plan, exchange 976 of every area code is pay-per-call; libphonenumber takes it for an ordinary one.
fn is_premium_exchange(e164: &str) -> bool {
    e164.starts_with("+1") && e164.get(5..8) == Some("976")
}

impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn number(e164: &str) -> PhoneNumber {
        PhoneNumber::parse(e164, &AllowedCountries::All).unwrap()
    }

    #[test]
    fn a_country_is_two_letters_and_exists_if_it_has_numbers() {
        for (code, exists) in [("US", true), ("GB", true), ("AC", true), ("ZW", true), ("ZZ", false), ("AQ", false)] {
            let country = Country::parse(code).unwrap();
            assert_eq!(country.exists(), exists, "{code}");
            assert_eq!(format!("{country} {country:?}"), format!("{code} {code}"));
        }
    }

    #[test]
    fn a_number_is_masked_to_its_calling_code_and_last_four_digits() {
        assert_eq!(number("+14155551234").masked(), "+1****1234");
        assert_eq!(number("+447400123456").masked(), "+44****3456");
        assert_eq!(format!("{:?}", number("+4915112345678")), "+49****5678");
    }

    #[test]
    fn two_spellings_are_one_number_s14() {
        assert_eq!(number("+4407400123456"), number("+447400123456"));
        for spelling in ["+1 201-555-0123", "+1 (201) 555.0123", " +1\u{a0}[201] 5550123 ", "+12015550123"] {
            assert_eq!(number(spelling), number("+12015550123"), "{spelling}");
        }
    }

    #[test]
    fn only_numbers_that_receive_sms_in_allowed_countries_pass_s14() {
        use PhoneNumberError::{CountryNotAllowed, NoSms, NoSuchNumber, NotE164};
        let allowed =
            AllowedCountries::Only(["US", "CA", "GB", "DE", "AU"].iter().filter_map(|code| Country::parse(code)).collect());
        for (text, reason) in [
            ("+14155551234", "USA, fixed line or mobile"),
            ("+16135550123", "Canada"),
            ("+447400123456", "UK mobile"),
            ("+4915112345678", "German mobile"),
            ("+61412345678", "Australian mobile"),
        ] {
            assert!(PhoneNumber::parse(text, &allowed).is_ok(), "{reason}");
        }
        for (text, error, reason) in [
            ("", NotE164, "empty"),
            ("+", NotE164, "a plus alone"),
            ("4155551234", NotE164, "national"),
            ("14155551234", NotE164, "no plus"),
            ("tel:+14155551234", NotE164, "a URI"),
            ("+14155551234;ext=5", NotE164, "an extension"),
            ("+04155551234", NotE164, "a zero first"),
            ("+1415555123412345", NotE164, "16 digits"),
            ("+１４１５５５５１２３４", NotE164, "full-width digits"),
            ("+1415555ABCD", NotE164, "letters"),
            ("+99999999999", NoSuchNumber, "no such calling code"),
            ("+11234567890", NoSuchNumber, "no such area"),
            ("+1415555", NoSuchNumber, "too short"),
            ("+33612345678", CountryNotAllowed, "France"),
            ("+18765551234", CountryNotAllowed, "Jamaica shares +1"),
            ("+442079460000", NoSms, "a UK landline"),
            ("+4930123456", NoSms, "a German landline"),
            ("+448001234567", NoSms, "toll-free"),
            ("+449098790000", NoSms, "premium rate"),
            ("+448431234567", NoSms, "shared cost"),
            ("+447640123456", NoSms, "a pager"),
            ("+18005551234", NoSms, "toll-free in the USA"),
            ("+19005551234", NoSms, "premium rate in the USA"),
            ("+12129761234", NoSms, "a pay-per-call exchange in the USA"),
            ("1 201 555 0123", NotE164, "separators, but no +"),
            ("+1/2015550123", NotE164, "a slash"),
            ("+61212345678", NoSms, "an Australian landline"),
        ] {
            assert_eq!(PhoneNumber::parse(text, &allowed), Err(error), "{reason}");
        }
    }

    #[test]
    fn satellite_and_other_worldwide_numbers_have_no_country() {
        assert_eq!(PhoneNumber::parse("+80012345678", &AllowedCountries::All), Err(PhoneNumberError::NoSms));
    }

    #[test]
    fn the_countries_are_those_that_libphonenumber_knows() {
        let regions = PHONE_NUMBER_UTIL.get_supported_regions();
        let known: BTreeSet<_> = regions.map(|region| region.as_region_str().as_str().to_owned()).collect();
        assert_eq!(COUNTRIES.split(' ').map(str::to_owned).collect::<BTreeSet<_>>(), known);
        for code in ["UK", "EU", "XX", "ZZ", "AN"] {
            assert!(!Country::parse(code).unwrap().exists(), "{code}");
        }
    }
}
