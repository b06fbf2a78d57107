//! Every key string of the table. No code and no clear phone number or address is ever part of one.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
};

use aws_sdk_dynamodb::types::AttributeValue;

use crate::{
    domain::{Pepper, PhoneNumber, Timestamp, UserId, sms::send_window::WindowKind},
    ports::WindowSubject,
};

/// The partition key's name.
pub const PK: &str = "pk";

/// The sort key's name.
pub const SK: &str = "sk";

/// The name of the attribute that tells DynamoDB when an item may go, in seconds since the Unix epoch.
pub const TTL: &str = "ttl";

/// What the sort keys of audit records begin with.
pub(super) const AUDIT_PREFIX: &str = "AUDIT#";

/// The key of one item.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) pk: String,
    pub(super) sk: String,
}

impl Key {
    /// A user's account.
    pub(super) fn account(user: &UserId) -> Self {
        Self { pk: user_partition(user), sk: "ACCOUNT".to_owned() }
    }

    /// One record of a user's audit trail. Keys sort as the records happened: by time, then by their position in their commit.
    pub(super) fn audit(user: &UserId, at: Timestamp, position: usize, nonce: u64) -> Self {
        let moment = at.to_rfc3339();
        let moment = moment.trim_end_matches('Z');
        let millisecond = at.as_millis() % 1000;
        Self { pk: user_partition(user), sk: format!("{AUDIT_PREFIX}{moment}.{millisecond:03}Z#{position:02}-{nonce:016x}") }
    }

    /// The window of a subject.
    pub(super) fn window(pepper: &Pepper, subject: &WindowSubject) -> Self {
        match subject {
            WindowSubject::Number(phone, kind) => Self::number_window(pepper, phone, *kind),
            WindowSubject::Address(address) => Self::address_window(pepper, *address),
        }
    }

    /// One of the windows of a phone number.
    pub(super) fn number_window(pepper: &Pepper, phone: &PhoneNumber, kind: WindowKind) -> Self {
        let sk = match kind {
            WindowKind::Binds => "BINDS",
            WindowKind::Sends => "SENDS",
        };
        Self { pk: format!("PHONE#{}", pepper.pseudonym("phone", phone.as_e164())), sk: sk.to_owned() }
    }

    /// The window of a source address. Whoever has one IPv6 address has its whole /64, so that is what counts; an IPv4 address
    /// mapped into IPv6 is the IPv4 address.
    pub(super) fn address_window(pepper: &Pepper, address: IpAddr) -> Self {
        let counted = match address.to_canonical() {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => {
                let network = Ipv6Addr::from_bits(address.to_bits() >> 64 << 64);
                format!("{network}/64")
            }
        };
        Self { pk: format!("IP#{}", pepper.pseudonym("address", &counted)), sk: "SENDS".to_owned() }
    }

    /// The key of an item that was read.
    pub(super) fn of(item: &HashMap<String, AttributeValue>) -> Option<Self> {
        let part = |name| item.get(name)?.as_s().ok().cloned();
        Some(Self { pk: part(PK)?, sk: part(SK)? })
    }

    /// The two attributes that name the item.
    pub(super) fn attributes(&self) -> HashMap<String, AttributeValue> {
        HashMap::from([(PK.to_owned(), AttributeValue::S(self.pk.clone())), (SK.to_owned(), AttributeValue::S(self.sk.clone()))])
    }
}

/// The partition that holds all that belongs to a user.
pub(super) fn user_partition(user: &UserId) -> String {
    format!("USER#{user}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_window_key_shows_its_subject_s6() {
        let pepper = Pepper::new(&[1; 32]).unwrap();
        let phone = crate::domain::phone_number::tests::number("+12015550123");
        let window = |pepper: &Pepper, kind| Key::number_window(pepper, &phone, kind);
        let (binds, sends) = (window(&pepper, WindowKind::Binds), window(&pepper, WindowKind::Sends));
        assert!(binds.pk.starts_with("PHONE#") && !binds.pk.contains("5550123"), "{binds:?}");
        assert_eq!((&binds.pk, &*binds.sk, &*sends.sk), (&sends.pk, "BINDS", "SENDS"));
        let key = Key::address_window(&pepper, "198.51.100.7".parse().unwrap());
        assert!(key.pk.starts_with("IP#") && !key.pk.contains("198.51"), "{key:?}");
        let other = Pepper::new(&[2; 32]).unwrap();
        assert_ne!(sends, window(&other, WindowKind::Sends), "the pepper keys the name");
    }

    #[test]
    fn an_ipv6_address_counts_by_its_64_prefix_and_a_mapped_one_as_ipv4_s11() {
        let pepper = Pepper::new(&[1; 32]).unwrap();
        let key = |address: &str| Key::address_window(&pepper, address.parse().unwrap());
        assert_eq!(key("2001:db8:1:2::1"), key("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
        assert_eq!(key("::ffff:198.51.100.7"), key("198.51.100.7"));
        assert_ne!(key("198.51.100.8"), key("198.51.100.7"));
    }

    #[test]
    fn audit_keys_sort_by_time_then_position() {
        let user = UserId::parse("alice").unwrap();
        let key = |millis, position, nonce| Key::audit(&user, Timestamp::from_millis(millis), position, nonce).sk;
        let sorted = [
            key(999, 3, u64::MAX),
            key(1000, 0, 0),
            key(1001, 0, 0),
            key(1_767_323_045_006, 9, 7),
            key(1_767_323_045_006, 10, 1),
            key(1_767_323_045_010, 0, 0),
        ];
        assert!(sorted.is_sorted(), "{sorted:?}");
        assert_eq!(sorted[3], "AUDIT#2026-01-02T03:04:05.006Z#09-0000000000000007");
    }
}
