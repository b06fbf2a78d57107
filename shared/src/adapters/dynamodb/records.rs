//! What the items of the table look like: each kind is read strictly, so that a missing or unknown part is an error, never a guess.

use std::{collections::HashMap, str::FromStr, time::Duration};

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};

use super::keys::TTL;
use crate::{
    domain::{
        Account, BackupCodes, Challenge, ChallengeId, Country, Digest, FailedAttempts, Pending, PhoneNumber, Purpose, SendLog,
        SendWindow, Slot, SmsFactor, Timestamp, account::ActivePhone, sms::send_window::SentCode,
    },
    ports::{AuditRecord, Version},
};

/// An item, or a map within one.
pub(super) type Item = HashMap<String, AttributeValue>;

/// The shape that this program writes, and the only one that it reads.
pub(super) const SCHEMA: u32 = 1;

/// The name of the attribute that says which shape an item has.
pub(super) const SCHEMA_ATTRIBUTE: &str = "schema";

/// The name of the attribute that holds an account's version.
pub(super) const VERSION_ATTRIBUTE: &str = "version";

/// How long the audit trail is kept.
const AUDIT_RETENTION: Duration = Duration::from_hours(400 * 24);

/// How much longer than its last slot a window is kept: more than the clocks of two functions differ and than a commit takes,
/// so that the later of two takings may set the earlier end without losing the other.
const WINDOW_SLACK: Duration = Duration::from_mins(1);

/// What the attributes of slots are called; the slot's index follows.
const LEASE_PREFIX: &str = "lease_";

/// Why an item cannot be read. Names the attribute, never its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum RecordError {
    /// A part is not there.
    #[error("the attribute `{0}` is missing")]
    Missing(&'static str),
    /// A part has the wrong type, or a value that it cannot have.
    #[error("the attribute `{0}` is malformed")]
    Malformed(&'static str),
    /// The item was written by a program that knows more, or by no program of ours.
    #[error("the schema is not {SCHEMA}")]
    UnknownSchema,
}

/// An account as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AccountRecord {
    pub(super) account: Account,
    pub(super) version: Version,
}

impl From<&AccountRecord> for Item {
    fn from(record: &AccountRecord) -> Self {
        let AccountRecord { account, version } = record;
        let Account { sms, pending, challenge, sms_failed_attempts, backup, sends, notifications } = account;
        item([
            (SCHEMA_ATTRIBUTE, number(SCHEMA)),
            (VERSION_ATTRIBUTE, number(version.0)),
            ("sms", write_sms(sms)),
            ("pending", optional(pending.as_ref(), write_pending)),
            ("challenge", optional(challenge.as_ref(), write_challenge)),
            ("sms_guesses", write_guesses(sms_failed_attempts)),
            ("backup_codes", list(&backup.digests, |digest| bytes(digest.as_bytes()))),
            ("backup_guesses", write_guesses(&backup.failed_attempts)),
            ("sends", list(sends.iter(), write_send)),
            ("notices", list(notifications, |at| moment(*at))),
        ])
    }
}

impl TryFrom<Item> for AccountRecord {
    type Error = RecordError;

    fn try_from(item: Item) -> Result<Self, RecordError> {
        let item = AttributeValue::M(item);
        let node = Node::known_schema(&item)?;
        Ok(Self {
            account: Account {
                sms: read_sms(node.field("sms")?)?,
                pending: node.optional("pending")?.map(read_pending).transpose()?,
                challenge: node.optional("challenge")?.map(read_challenge).transpose()?,
                sms_failed_attempts: read_guesses(node.field("sms_guesses")?)?,
                backup: BackupCodes {
                    digests: node.field("backup_codes")?.elements(|digest| digest.array().map(Digest::from_bytes))?,
                    failed_attempts: read_guesses(node.field("backup_guesses")?)?,
                },
                sends: SendLog::new(node.field("sends")?.elements(read_send)?),
                notifications: node.field("notices")?.elements(Node::moment)?,
            },
            version: Version(node.field(VERSION_ATTRIBUTE)?.number()?),
        })
    }
}

fn write_sms(sms: &SmsFactor) -> AttributeValue {
    let (state, active) = match sms {
        SmsFactor::Off => ("off", None),
        SmsFactor::On(active) => ("on", Some(active)),
        SmsFactor::Disabled(active) => ("disabled", Some(active)),
    };
    AttributeValue::M(item([
        ("state", text(state)),
        ("phone", optional(active, |active| write_phone(&active.phone))),
        ("enabled_at", optional(active, |active| moment(active.enabled_at))),
    ]))
}

fn read_sms(node: Node<'_>) -> Result<SmsFactor, RecordError> {
    let state = node.field("state")?;
    let active = || Ok(ActivePhone { phone: read_phone(node.field("phone")?)?, enabled_at: node.field("enabled_at")?.moment()? });
    match state.text()? {
        "off" => Ok(SmsFactor::Off),
        "on" => active().map(SmsFactor::On),
        "disabled" => active().map(SmsFactor::Disabled),
        _ => Err(state.malformed()),
    }
}

fn write_pending(pending: &Pending) -> AttributeValue {
    let Pending { phone, expires_at } = pending;
    AttributeValue::M(item([("phone", write_phone(phone)), ("expires_at", moment(*expires_at))]))
}

fn read_pending(node: Node<'_>) -> Result<Pending, RecordError> {
    Ok(Pending { phone: read_phone(node.field("phone")?)?, expires_at: node.field("expires_at")?.moment()? })
}

fn write_challenge(challenge: &Challenge) -> AttributeValue {
    let Challenge { id, purpose, phone, digest, expires_at, failed_attempts } = challenge;
    AttributeValue::M(item([
        ("id", bytes(id.as_bytes())),
        ("purpose", text(purpose.as_str())),
        ("phone", write_phone(phone)),
        ("digest", bytes(digest.as_bytes())),
        ("expires_at", moment(*expires_at)),
        ("wrong_guesses", number(*failed_attempts)),
    ]))
}

fn read_challenge(node: Node<'_>) -> Result<Challenge, RecordError> {
    let purpose = node.field("purpose")?;
    Ok(Challenge {
        id: ChallengeId::from_bytes(node.field("id")?.array()?),
        purpose: Purpose::from_name(purpose.text()?).ok_or(purpose.malformed())?,
        phone: read_phone(node.field("phone")?)?,
        digest: Digest::from_bytes(node.field("digest")?.array()?),
        expires_at: node.field("expires_at")?.moment()?,
        failed_attempts: node.field("wrong_guesses")?.number()?,
    })
}

fn write_phone(phone: &PhoneNumber) -> AttributeValue {
    AttributeValue::M(item([
        ("number", text(phone.as_e164())),
        ("calling_code", number(phone.calling_code())),
        ("country", text(phone.country().as_str())),
    ]))
}

fn read_phone(node: Node<'_>) -> Result<PhoneNumber, RecordError> {
    let country = node.field("country")?;
    let country = Country::parse(country.text()?).ok_or(country.malformed())?;
    let number = node.field("number")?;
    PhoneNumber::from_storage(number.text()?.to_owned(), node.field("calling_code")?.number()?, country).ok_or(number.malformed())
}

fn write_guesses(guesses: &FailedAttempts) -> AttributeValue {
    let FailedAttempts { failures, last_failure, locked_until } = guesses;
    AttributeValue::M(item([
        ("failures", number(*failures)),
        ("last_failure", optional(*last_failure, moment)),
        ("locked_until", optional(*locked_until, moment)),
    ]))
}

fn read_guesses(node: Node<'_>) -> Result<FailedAttempts, RecordError> {
    Ok(FailedAttempts {
        failures: node.field("failures")?.number()?,
        last_failure: node.optional("last_failure")?.map(Node::moment).transpose()?,
        locked_until: node.optional("locked_until")?.map(Node::moment).transpose()?,
    })
}

fn write_send(send: &SentCode) -> AttributeValue {
    let SentCode { challenge, at, phone_slot, address_slot } = send;
    AttributeValue::M(item([
        ("challenge", bytes(challenge.as_bytes())),
        ("at", moment(*at)),
        ("phone_slot", number(*phone_slot)),
        ("address_slot", optional(*address_slot, number)),
    ]))
}

fn read_send(node: Node<'_>) -> Result<SentCode, RecordError> {
    Ok(SentCode {
        challenge: ChallengeId::from_bytes(node.field("challenge")?.array()?),
        at: node.field("at")?.moment()?,
        phone_slot: node.field("phone_slot")?.number()?,
        address_slot: node.optional("address_slot")?.map(Node::number).transpose()?,
    })
}

/// A window as it is read; taking and giving back change single attributes of it, without reading it first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WindowRecord(pub(super) SendWindow);

impl TryFrom<Item> for WindowRecord {
    type Error = RecordError;

    fn try_from(item: Item) -> Result<Self, RecordError> {
        let item = AttributeValue::M(item);
        Node::known_schema(&item)?;
        let taken = item.as_m().ok().into_iter().flatten().filter_map(|(name, value)| {
            let index = name.strip_prefix(LEASE_PREFIX)?;
            let slot = || {
                let index = index.parse().map_err(|_| RecordError::Malformed(LEASE_PREFIX))?;
                Ok(Slot { index, taken_at: Node { name: LEASE_PREFIX, value }.moment()? })
            };
            Some(slot())
        });
        Ok(Self(SendWindow::new(taken.collect::<Result<Vec<_>, _>>()?)))
    }
}

/// The attribute that holds a slot of a window.
pub(super) fn lease_attribute(index: u16) -> String {
    format!("{LEASE_PREFIX}{index}")
}

/// The TTL of a window whose latest slot this is.
pub(super) fn window_ttl(taken_at: Timestamp, window: Duration) -> AttributeValue {
    number(taken_at.plus(window).plus(WINDOW_SLACK).as_secs_ceil())
}

impl From<&AuditRecord> for Item {
    fn from(record: &AuditRecord) -> Self {
        let AuditRecord { user: _, at, nonce: _, event, outcome, phone_masked, origin, details } = record;
        item([
            (SCHEMA_ATTRIBUTE, number(SCHEMA)),
            ("at", moment(*at)),
            ("event", text(event.as_str())),
            ("outcome", text(outcome.as_str())),
            ("phone", optional(phone_masked.as_deref(), text)),
            ("request_id", text(&origin.request_id)),
            ("address", optional(origin.address, |address| text(&address.to_string()))),
            ("user_agent", optional(origin.user_agent.as_deref(), text)),
            ("details", list(details, |(name, value)| AttributeValue::M(item([("name", text(name)), ("value", text(value))])))),
            (TTL, number(at.plus(AUDIT_RETENTION).as_secs_ceil())),
        ])
    }
}

/// One entry of the audit trail, as it is read back: in words, since trails outlive the vocabulary that they were written in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// When it happened.
    pub at: Timestamp,
    /// What happened: an [`AuditEvent`](crate::domain::AuditEvent)'s name.
    pub event: String,
    /// How it ended: an [`AuditOutcome`](crate::domain::AuditOutcome)'s name.
    pub outcome: String,
    /// The phone number it was about, masked.
    pub phone_masked: Option<String>,
    /// The gateway's identifier of the request.
    pub request_id: String,
    /// The source address.
    pub address: Option<String>,
    /// What the client called itself.
    pub user_agent: Option<String>,
    /// What else there is to say, as name and value.
    pub details: Vec<(String, String)>,
}

impl AuditEntry {
    /// Reads an entry.
    pub(super) fn from_item(item: Item) -> Result<Self, RecordError> {
        let item = AttributeValue::M(item);
        let node = Node::known_schema(&item)?;
        Ok(Self {
            at: node.field("at")?.moment()?,
            event: node.field("event")?.owned_text()?,
            outcome: node.field("outcome")?.owned_text()?,
            phone_masked: node.optional("phone")?.map(Node::owned_text).transpose()?,
            request_id: node.field("request_id")?.owned_text()?,
            address: node.optional("address")?.map(Node::owned_text).transpose()?,
            user_agent: node.optional("user_agent")?.map(Node::owned_text).transpose()?,
            details: node
                .field("details")?
                .elements(|detail| Ok((detail.field("name")?.owned_text()?, detail.field("value")?.owned_text()?)))?,
        })
    }
}

fn item<const N: usize>(attributes: [(&str, AttributeValue); N]) -> Item {
    attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

/// A number, as DynamoDB wants it.
pub(super) fn number(number: impl Into<i128>) -> AttributeValue {
    AttributeValue::N(number.into().to_string())
}

/// An instant: milliseconds since the Unix epoch.
pub(super) fn moment(at: Timestamp) -> AttributeValue {
    number(at.as_millis())
}

fn bytes(bytes: &[u8]) -> AttributeValue {
    AttributeValue::B(Blob::new(bytes))
}

fn list<T>(elements: impl IntoIterator<Item = T>, write: impl Fn(T) -> AttributeValue) -> AttributeValue {
    AttributeValue::L(elements.into_iter().map(write).collect())
}

/// A part that may not be there: NULL then, so that "none" and "missing" are two things.
fn optional<T>(part: Option<T>, write: impl Fn(T) -> AttributeValue) -> AttributeValue {
    part.map_or(AttributeValue::Null(true), write)
}

/// A value that is being read, and the name it goes by.
#[derive(Clone, Copy)]
struct Node<'a> {
    name: &'static str,
    value: &'a AttributeValue,
}

impl<'a> Node<'a> {
    /// A whole item, if its schema is the one that this program knows.
    fn known_schema(item: &'a AttributeValue) -> Result<Self, RecordError> {
        let node = Self { name: "item", value: item };
        match node.field(SCHEMA_ATTRIBUTE)?.number::<u32>() {
            Ok(SCHEMA) => Ok(node),
            _ => Err(RecordError::UnknownSchema),
        }
    }

    fn malformed(self) -> RecordError {
        RecordError::Malformed(self.name)
    }

    fn field(self, name: &'static str) -> Result<Self, RecordError> {
        let fields = self.value.as_m().map_err(|_| self.malformed())?;
        fields.get(name).map(|value| Self { name, value }).ok_or(RecordError::Missing(name))
    }

    /// A field that may be NULL, but not missing.
    fn optional(self, name: &'static str) -> Result<Option<Self>, RecordError> {
        self.field(name).map(|node| (!node.value.is_null()).then_some(node))
    }

    fn elements<T>(self, read: impl Fn(Self) -> Result<T, RecordError>) -> Result<Vec<T>, RecordError> {
        let elements = self.value.as_l().map_err(|_| self.malformed())?;
        elements.iter().map(|value| read(Self { value, ..self })).collect()
    }

    fn text(self) -> Result<&'a str, RecordError> {
        self.value.as_s().map(String::as_str).map_err(|_| self.malformed())
    }

    fn owned_text(self) -> Result<String, RecordError> {
        self.text().map(str::to_owned)
    }

    fn number<T: FromStr>(self) -> Result<T, RecordError> {
        let digits = self.value.as_n().map_err(|_| self.malformed())?;
        digits.parse().map_err(|_| self.malformed())
    }

    fn moment(self) -> Result<Timestamp, RecordError> {
        self.number().map(Timestamp::from_millis)
    }

    fn array<const N: usize>(self) -> Result<[u8; N], RecordError> {
        let blob = self.value.as_b().map_err(|_| self.malformed())?;
        blob.as_ref().try_into().map_err(|_| self.malformed())
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, option, prelude::*};

    use super::*;
    use crate::domain::{AuditEvent, AuditOutcome, UserId};
    use crate::ports::Origin;

    fn instants() -> impl Strategy<Value = Timestamp> {
        prop_oneof![0..5_000_000_000_000_u64, Just(u64::MAX)].prop_map(Timestamp::from_millis)
    }

    fn phones() -> impl Strategy<Value = PhoneNumber> {
        (1..1000_u16, 0..10_000_000_000_u64, "[A-Z]{2}").prop_map(|(calling_code, national, country)| {
            PhoneNumber::from_storage(format!("+{calling_code}{national}"), calling_code, Country::parse(&country).unwrap())
                .unwrap()
        })
    }

    fn guesses() -> impl Strategy<Value = FailedAttempts> {
        (any::<u32>(), option::of(instants()), option::of(instants()))
            .prop_map(|(failures, last_failure, locked_until)| FailedAttempts { failures, last_failure, locked_until })
    }

    fn factors() -> impl Strategy<Value = SmsFactor> {
        let active = (phones(), instants()).prop_map(|(phone, enabled_at)| ActivePhone { phone, enabled_at });
        (active, 0..3).prop_map(|(active, state)| match state {
            0 => SmsFactor::Off,
            1 => SmsFactor::On(active),
            _ => SmsFactor::Disabled(active),
        })
    }

    fn challenges() -> impl Strategy<Value = Challenge> {
        let purpose = prop_oneof![Just(Purpose::Enroll), Just(Purpose::Replace), Just(Purpose::SignIn)];
        (any::<[u8; 16]>(), purpose, phones(), any::<[u8; 32]>(), instants(), any::<u32>()).prop_map(
            |(id, purpose, phone, digest, expires_at, failed_attempts)| Challenge {
                id: ChallengeId::from_bytes(id),
                purpose,
                phone,
                digest: Digest::from_bytes(digest),
                expires_at,
                failed_attempts,
            },
        )
    }

    fn sends() -> impl Strategy<Value = SentCode> {
        (any::<[u8; 16]>(), instants(), any::<u16>(), option::of(any::<u16>())).prop_map(
            |(challenge, at, phone_slot, address_slot)| SentCode {
                challenge: ChallengeId::from_bytes(challenge),
                at,
                phone_slot,
                address_slot,
            },
        )
    }

    fn records() -> impl Strategy<Value = AccountRecord> {
        let pending = (phones(), instants()).prop_map(|(phone, expires_at)| Pending { phone, expires_at });
        let backup = (vec(any::<[u8; 32]>(), 0..=10), guesses()).prop_map(|(digests, guesses)| BackupCodes {
            digests: digests.into_iter().map(Digest::from_bytes).collect(),
            failed_attempts: guesses,
        });
        let account = (
            factors(),
            option::of(pending),
            option::of(challenges()),
            guesses(),
            backup,
            vec(sends(), 0..6),
            vec(instants(), 0..4),
        )
            .prop_map(|(sms, pending, challenge, sms_failed_attempts, backup, sends, notifications)| Account {
                sms,
                pending,
                challenge,
                sms_failed_attempts,
                backup,
                sends: SendLog::new(sends),
                notifications,
            });
        (account, any::<u64>()).prop_map(|(account, version)| AccountRecord { account, version: Version(version) })
    }

    /// The same value with one part of it left out, for every part that has a name.
    fn with_one_part_missing(value: &AttributeValue) -> Vec<AttributeValue> {
        match value {
            AttributeValue::M(fields) => fields
                .iter()
                .flat_map(|(name, field)| {
                    let without = {
                        let mut fields = fields.clone();
                        fields.remove(name);
                        AttributeValue::M(fields)
                    };
                    let within = with_one_part_missing(field).into_iter().map(|field| {
                        let mut fields = fields.clone();
                        fields.insert(name.clone(), field);
                        AttributeValue::M(fields)
                    });
                    within.chain([without]).collect::<Vec<_>>()
                })
                .collect(),
            AttributeValue::L(elements) => elements
                .iter()
                .enumerate()
                .flat_map(|(index, element)| {
                    with_one_part_missing(element).into_iter().map(move |element| {
                        let mut elements = elements.clone();
                        elements[index] = element;
                        AttributeValue::L(elements)
                    })
                })
                .collect(),
            _ => Vec::new(),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn an_account_comes_back_as_it_was_stored(record in records()) {
            prop_assert_eq!(AccountRecord::try_from(Item::from(&record)), Ok(record));
        }

        #[test]
        fn an_account_with_any_part_missing_is_refused(record in records()) {
            let mut whole = Item::from(&record);
            // What is off has no number, so those two parts alone may be missing from it.
            if record.account.sms == SmsFactor::Off {
                whole.insert("sms".to_owned(), AttributeValue::M(item([("state", text("off"))])));
            }
            for damaged in with_one_part_missing(&AttributeValue::M(whole)) {
                let damaged = damaged.as_m().unwrap().clone();
                prop_assert!(AccountRecord::try_from(damaged).is_err());
            }
        }
    }

    #[test]
    fn another_schema_is_refused() {
        let record = AccountRecord { account: Account::default(), version: Version(1) };
        for schema in [number(0), number(2), AttributeValue::N("1.5".to_owned()), text("1"), AttributeValue::Null(true)] {
            let mut item = Item::from(&record);
            item.insert(SCHEMA_ATTRIBUTE.to_owned(), schema.clone());
            assert_eq!(AccountRecord::try_from(item.clone()), Err(RecordError::UnknownSchema), "{schema:?}");
            assert_eq!(WindowRecord::try_from(item), Err(RecordError::UnknownSchema), "{schema:?}");
        }
    }

    #[test]
    fn values_that_cannot_be_are_refused() {
        let active = ActivePhone {
            phone: crate::domain::phone_number::tests::number("+14155551234"),
            enabled_at: Timestamp::from_millis(1),
        };
        let account = Account { sms: SmsFactor::On(active), ..Account::default() };
        let record = AccountRecord { account, version: Version(1) };
        let damaged = |attribute: &str, value| {
            let mut item = Item::from(&record);
            item.insert(attribute.to_owned(), value);
            AccountRecord::try_from(item)
        };
        for (attribute, value, named, reason) in [
            ("version", number(-1), "version", "a negative version"),
            ("version", text("1"), "version", "a version in words"),
            ("sms", AttributeValue::M(item([("state", text("maybe"))])), "state", "an unknown state"),
            ("sms", AttributeValue::Null(true), "sms", "no state at all"),
            ("backup_codes", list([1], |_| bytes(&[0; 31])), "backup_codes", "a digest of 31 bytes"),
            ("notices", list([1], |_| text("yesterday")), "notices", "an instant in words"),
        ] {
            assert_eq!(damaged(attribute, value), Err(RecordError::Malformed(named)), "{reason}");
        }
    }

    #[test]
    fn a_window_is_read_lease_by_lease() {
        let window = |name: &str, value| {
            WindowRecord::try_from(item([(SCHEMA_ATTRIBUTE, number(SCHEMA)), (TTL, number(9)), (name, value)]))
        };
        let slot = Slot { index: 3, taken_at: Timestamp::from_millis(5) };
        assert_eq!(window("lease_3", number(5)), Ok(WindowRecord(SendWindow::new([slot]))));
        assert_eq!(window("lease_x", number(5)), Err(RecordError::Malformed(LEASE_PREFIX)), "an index in words");
        assert_eq!(window("lease_3", text("5")), Err(RecordError::Malformed(LEASE_PREFIX)), "an instant in words");
    }

    #[test]
    fn an_audit_record_comes_back_in_words_and_is_kept_for_400_days() {
        let record = AuditRecord {
            user: UserId::parse("alice").unwrap(),
            at: Timestamp::from_millis(1_001),
            nonce: 7,
            event: AuditEvent::Verify,
            outcome: AuditOutcome::Refused("invalid_code"),
            phone_masked: Some("+1****1234".to_owned()),
            origin: Origin {
                request_id: "r-1".to_owned(),
                address: Some("198.51.100.7".parse().unwrap()),
                user_agent: Some("curl".to_owned()),
            },
            details: vec![("provider", "twilio".to_owned()), ("provider", "sns".to_owned())],
        };
        let item = Item::from(&record);
        assert_eq!(item.get(TTL), Some(&number(2 + 400 * 86_400)));
        assert_eq!(
            AuditEntry::from_item(item),
            Ok(AuditEntry {
                at: record.at,
                event: "verify".to_owned(),
                outcome: "invalid_code".to_owned(),
                phone_masked: record.phone_masked,
                request_id: "r-1".to_owned(),
                address: Some("198.51.100.7".to_owned()),
                user_agent: Some("curl".to_owned()),
                details: vec![("provider".to_owned(), "twilio".to_owned()), ("provider".to_owned(), "sns".to_owned())],
            })
        );
        let bare = AuditRecord { phone_masked: None, origin: Origin::default(), details: Vec::new(), ..record };
        let read = AuditEntry::from_item(Item::from(&bare)).unwrap();
        assert_eq!((read.phone_masked, read.address, read.user_agent, read.details), (None, None, None, Vec::new()));
    }
}
