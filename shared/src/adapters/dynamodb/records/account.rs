//! An account as it is stored: schema 2, which this version writes. It stays below 1,024 bytes, one write unit of DynamoDB, with five
//! sends, a live code, four superseded ones and ten backup codes; so what there are several of is packed.

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};

use super::{
    account_schema_1,
    attributes::{Item, Node, RecordError, SCHEMA_ATTRIBUTE, bytes, item, moment, number, optional, text},
};
use crate::{
    domain::{
        Account, BackupCodes, Challenge, ChallengeId, Country, Digest, FailedAttempts, PhoneNumber, Provider, Purpose, SendLog,
        SmsFactor, Timestamp,
        message::notification::{NotificationKind, NotificationLog, SentNotification},
        sms::{
            challenge::{CodeTag, SupersededCode},
            factor::{ActivePhone, FactorState, PendingPhone},
            send_window::{Allowance, NumberTag, SendState, SentCode, WindowKind},
        },
    },
    ports::Version,
};

/// The shape of accounts that this version writes. It reads the one before, too.
const SCHEMA: u32 = 2;

/// The name of the attribute that holds an account's version.
pub(in super::super) const VERSION_ATTRIBUTE: &str = "version";

/// An account as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct AccountRecord {
    pub(in super::super) account: Account,
    pub(in super::super) version: Version,
}

impl From<&AccountRecord> for Item {
    fn from(record: &AccountRecord) -> Self {
        let AccountRecord { account: Account { sms, backup, sends, notifications }, version } = record;
        let BackupCodes { digests, failed_attempts, last_failed_at } = backup;
        item([
            (SCHEMA_ATTRIBUTE, number(SCHEMA)),
            (VERSION_ATTRIBUTE, number(version.0)),
            ("sms", write_factor(sms)),
            ("backup_codes", packed(digests, |digest| *digest.as_bytes())),
            ("backup_failed", number(*failed_attempts)),
            ("backup_failed_at", optional(*last_failed_at, moment)),
            ("sends", packed(sends.iter(), write_send)),
            ("notified", packed(notifications.iter(), write_notification)),
        ])
    }
}

impl TryFrom<Item> for AccountRecord {
    type Error = RecordError;

    fn try_from(item: Item) -> Result<Self, RecordError> {
        let item = AttributeValue::M(item);
        let (node, schema) = Node::item(&item)?;
        let account = match schema {
            SCHEMA => read_account(node)?,
            account_schema_1::SCHEMA => account_schema_1::read_account(node)?,
            _ => return Err(RecordError::UnknownSchema),
        };
        Ok(Self { account, version: Version(node.field(VERSION_ATTRIBUTE)?.number()?) })
    }
}

fn read_account(node: Node<'_>) -> Result<Account, RecordError> {
    Ok(Account {
        sms: read_factor(node.field("sms")?)?,
        backup: BackupCodes {
            digests: unpacked(node.field("backup_codes")?, |digest| Some(Digest::from_bytes(digest)))?,
            failed_attempts: node.field("backup_failed")?.number()?,
            last_failed_at: node.optional("backup_failed_at")?.map(Node::moment).transpose()?,
        },
        sends: SendLog::new(unpacked(node.field("sends")?, read_send)?),
        notifications: NotificationLog::new(unpacked(node.field("notified")?, read_notification)?),
    })
}

fn write_factor(factor: &SmsFactor) -> AttributeValue {
    let SmsFactor { state, pending, challenge, failed_attempts } = factor;
    let FailedAttempts { count, last_at, locked_until } = failed_attempts;
    let (state, active) = match state {
        FactorState::Off => ("off", None),
        FactorState::On(active) => ("on", Some(active)),
        FactorState::Disabled(active) => ("disabled", Some(active)),
    };
    AttributeValue::M(item([
        ("state", text(state)),
        ("phone", optional(active, |active| write_phone(&active.phone))),
        ("enabled_at", optional(active, |active| moment(active.enabled_at))),
        ("pending", optional(pending.as_ref(), |pending| write_phone(&pending.phone))),
        ("pending_until", optional(pending.as_ref(), |pending| moment(pending.expires_at))),
        ("code", optional(challenge.as_ref(), write_challenge)),
        ("failed", number(*count)),
        ("failed_at", optional(*last_at, moment)),
        ("locked_until", optional(*locked_until, moment)),
    ]))
}

fn read_factor(node: Node<'_>) -> Result<SmsFactor, RecordError> {
    let state = node.field("state")?;
    let active = || Ok(ActivePhone { phone: read_phone(node.field("phone")?)?, enabled_at: node.field("enabled_at")?.moment()? });
    let until = node.field("pending_until")?;
    let pending = |phone| Ok(PendingPhone { phone: read_phone(phone)?, expires_at: until.moment()? });
    Ok(SmsFactor {
        state: match state.text()? {
            "off" => FactorState::Off,
            "on" => FactorState::On(active()?),
            "disabled" => FactorState::Disabled(active()?),
            _ => return Err(state.malformed()),
        },
        pending: node.optional("pending")?.map(pending).transpose()?,
        challenge: node.optional("code")?.map(read_challenge).transpose()?,
        failed_attempts: FailedAttempts {
            count: node.field("failed")?.number()?,
            last_at: node.optional("failed_at")?.map(Node::moment).transpose()?,
            locked_until: node.optional("locked_until")?.map(Node::moment).transpose()?,
        },
    })
}

/// Country and calling code, then the number: `US 1 +12015550123`.
fn write_phone(phone: &PhoneNumber) -> AttributeValue {
    text(&format!("{} {} {}", phone.country(), phone.calling_code(), phone.as_e164()))
}

fn read_phone(node: Node<'_>) -> Result<PhoneNumber, RecordError> {
    let mut parts = node.text()?.splitn(3, ' ');
    let mut part = || parts.next().ok_or(node.malformed());
    let country = Country::parse(part()?).ok_or(node.malformed())?;
    let calling_code = part()?.parse().map_err(|_| node.malformed())?;
    PhoneNumber::from_storage(part()?.to_owned(), calling_code, country).ok_or(node.malformed())
}

fn write_challenge(challenge: &Challenge) -> AttributeValue {
    let Challenge { id, purpose, digest, tag, expires_at, failed_attempts, superseded } = challenge;
    AttributeValue::M(item([
        ("id", bytes(id.as_bytes())),
        ("purpose", text(purpose.as_str())),
        ("digest", bytes(digest.as_bytes())),
        ("tag", optional(tag.as_ref(), |tag| bytes(tag.as_bytes()))),
        ("until", moment(*expires_at)),
        ("failed", number(*failed_attempts)),
        ("old", packed(superseded, |code| Packer::new().bytes(code.tag.as_bytes()).moment(code.until).done::<16>())),
    ]))
}

fn read_challenge(node: Node<'_>) -> Result<Challenge, RecordError> {
    let purpose = node.field("purpose")?;
    let superseded = |packed: [u8; 16]| {
        let mut fields = Unpacker(&packed);
        Some(SupersededCode { tag: CodeTag::from_bytes(fields.bytes()?), until: fields.moment()? })
    };
    Ok(Challenge {
        id: ChallengeId::from_bytes(node.field("id")?.array()?),
        purpose: Purpose::from_name(purpose.text()?).ok_or(purpose.malformed())?,
        digest: Digest::from_bytes(node.field("digest")?.array()?),
        tag: node.optional("tag")?.map(|tag| tag.array().map(CodeTag::from_bytes)).transpose()?,
        expires_at: node.field("until")?.moment()?,
        failed_attempts: node.field("failed")?.number()?,
        superseded: unpacked(node.field("old")?, superseded)?,
    })
}

/// Bytes of a packed send.
const SEND_BYTES: usize = 40;

/// In a packed send, the slot of a source address that holds none. No window has so many slots.
const NO_SLOT: u16 = u16::MAX;

fn write_send(send: &SentCode) -> [u8; SEND_BYTES] {
    let SentCode { challenge, at, number, window, slot, address_slot, allowance, provider, state } = send;
    Packer::new()
        .bytes(challenge.as_bytes())
        .moment(*at)
        .bytes(number.as_bytes())
        .bytes(&slot.to_be_bytes())
        .bytes(&address_slot.unwrap_or(NO_SLOT).to_be_bytes())
        .byte(position(&WINDOWS, window))
        .byte(position(&ALLOWANCES, allowance))
        .byte(provider.as_ref().map_or(0, |provider| position(&PROVIDERS, provider) + 1))
        .byte(position(&STATES, state))
        .done()
}

fn read_send(packed: [u8; SEND_BYTES]) -> Option<SentCode> {
    let mut fields = Unpacker(&packed);
    Some(SentCode {
        challenge: ChallengeId::from_bytes(fields.bytes()?),
        at: fields.moment()?,
        number: NumberTag::from_bytes(fields.bytes()?),
        slot: u16::from_be_bytes(fields.bytes()?),
        address_slot: Some(u16::from_be_bytes(fields.bytes()?)).filter(|slot| *slot != NO_SLOT),
        window: at_position(&WINDOWS, fields.byte()?)?,
        allowance: at_position(&ALLOWANCES, fields.byte()?)?,
        provider: match fields.byte()? {
            0 => None,
            number => Some(at_position(&PROVIDERS, number - 1)?),
        },
        state: at_position(&STATES, fields.byte()?)?,
    })
}

fn write_notification(sent: &SentNotification) -> [u8; 9] {
    Packer::new().byte(position(&NOTIFICATIONS, &sent.kind)).moment(sent.at).done()
}

fn read_notification(packed: [u8; 9]) -> Option<SentNotification> {
    let mut fields = Unpacker(&packed);
    Some(SentNotification { kind: at_position(&NOTIFICATIONS, fields.byte()?)?, at: fields.moment()? })
}

// What is packed as one byte is packed as its position in these lists. They grow at their ends only.
const WINDOWS: [WindowKind; 2] = [WindowKind::Binds, WindowKind::Sends];
const ALLOWANCES: [Allowance; 2] = [Allowance::User, Allowance::Recovery];
const STATES: [SendState; 4] = [SendState::Unanswered, SendState::Answered, SendState::Refused, SendState::GivenBack];
const PROVIDERS: [Provider; 6] =
    [Provider::Twilio, Provider::Sns, Provider::AwsSms, Provider::Vonage, Provider::MessageBird, Provider::Plivo];
const NOTIFICATIONS: [NotificationKind; 6] = [
    NotificationKind::Replaced,
    NotificationKind::TurnedOff,
    NotificationKind::BackupCodesReplaced,
    NotificationKind::BackupCodeUsed,
    NotificationKind::FailedAttempts,
    NotificationKind::NumberDisabled,
];

/// The position of a value in its list; a test holds the lists complete, and a byte that is in no list is refused when it is read.
fn position<T: PartialEq>(list: &[T], value: &T) -> u8 {
    list.iter().position(|listed| listed == value).and_then(|index| u8::try_from(index).ok()).unwrap_or(u8::MAX)
}

fn at_position<T: Copy>(list: &[T], position: u8) -> Option<T> {
    list.get(usize::from(position)).copied()
}

/// Several things of one length, one behind the other.
fn packed<T, const N: usize>(things: impl IntoIterator<Item = T>, write: impl Fn(T) -> [u8; N]) -> AttributeValue {
    AttributeValue::B(Blob::new(things.into_iter().flat_map(write).collect::<Vec<_>>()))
}

fn unpacked<T, const N: usize>(node: Node<'_>, read: impl Fn([u8; N]) -> Option<T>) -> Result<Vec<T>, RecordError> {
    let (things, []) = node.bytes()?.as_chunks::<N>() else { return Err(node.malformed()) };
    things.iter().map(|thing| read(*thing).ok_or(node.malformed())).collect()
}

/// Puts the fields of a packed thing one behind the other.
struct Packer(Vec<u8>);

impl Packer {
    const fn new() -> Self {
        Self(Vec::new())
    }

    fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    fn byte(self, byte: u8) -> Self {
        self.bytes(&[byte])
    }

    fn moment(self, at: Timestamp) -> Self {
        self.bytes(&at.as_millis().to_be_bytes())
    }

    /// All of it, which has this length.
    fn done<const N: usize>(self) -> [u8; N] {
        let mut whole = [0; N];
        whole.iter_mut().zip(self.0).for_each(|(to, from)| *to = from);
        whole
    }
}

/// Takes the fields of a packed thing off its front.
struct Unpacker<'a>(&'a [u8]);

impl Unpacker<'_> {
    fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*first)
    }

    fn byte(&mut self) -> Option<u8> {
        self.bytes().map(|[byte]| byte)
    }

    fn moment(&mut self) -> Option<Timestamp> {
        self.bytes().map(u64::from_be_bytes).map(Timestamp::from_millis)
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, option, prelude::*, sample::select};
    use rand::{SeedableRng, rngs::ChaCha12Rng};

    use super::*;
    use crate::domain::{Pepper, Policy, UserId, phone_number::tests::number as phone, sms::send_window::SendState};

    fn instants() -> impl Strategy<Value = Timestamp> {
        prop_oneof![0..5_000_000_000_000_u64, Just(u64::MAX)].prop_map(Timestamp::from_millis)
    }

    fn phones() -> impl Strategy<Value = PhoneNumber> {
        (1..1000_u16, 0..10_000_000_000_u64, "[A-Z]{2}").prop_map(|(calling_code, national, country)| {
            PhoneNumber::from_storage(format!("+{calling_code}{national}"), calling_code, Country::parse(&country).unwrap())
                .unwrap()
        })
    }

    fn failed_attempts() -> impl Strategy<Value = FailedAttempts> {
        (any::<u32>(), option::of(instants()), option::of(instants())).prop_map(|(count, last_at, locked_until)| FailedAttempts {
            count,
            last_at,
            locked_until,
        })
    }

    fn factors() -> impl Strategy<Value = SmsFactor> {
        let active = (phones(), instants()).prop_map(|(phone, enabled_at)| ActivePhone { phone, enabled_at });
        let states = (active, 0..3).prop_map(|(active, state)| match state {
            0 => FactorState::Off,
            1 => FactorState::On(active),
            _ => FactorState::Disabled(active),
        });
        let pending = (phones(), instants()).prop_map(|(phone, expires_at)| PendingPhone { phone, expires_at });
        (states, option::of(pending), option::of(challenges()), failed_attempts())
            .prop_map(|(state, pending, challenge, failed_attempts)| SmsFactor { state, pending, challenge, failed_attempts })
    }

    fn challenges() -> impl Strategy<Value = Challenge> {
        let tags = any::<[u8; 8]>().prop_map(CodeTag::from_bytes);
        let superseded = (tags.clone(), instants()).prop_map(|(tag, until)| SupersededCode { tag, until });
        let purpose = select(&Purpose::ALL[..]);
        let own = (any::<[u8; 16]>(), purpose, any::<[u8; 32]>(), option::of(tags), instants(), any::<u32>());
        (own, vec(superseded, 0..=4)).prop_map(|((id, purpose, digest, tag, expires_at, failed_attempts), superseded)| {
            Challenge {
                id: ChallengeId::from_bytes(id),
                purpose,
                digest: Digest::from_bytes(digest),
                tag,
                expires_at,
                failed_attempts,
                superseded,
            }
        })
    }

    fn sends() -> impl Strategy<Value = SentCode> {
        let ids = (any::<[u8; 16]>(), any::<[u8; 8]>(), instants(), any::<u16>(), option::of(0..NO_SLOT));
        let kinds = (select(&WINDOWS[..]), select(&ALLOWANCES[..]), option::of(select(&Provider::ALL[..])), select(&STATES[..]));
        (ids, kinds).prop_map(|((challenge, number, at, slot, address_slot), (window, allowance, provider, state))| SentCode {
            challenge: ChallengeId::from_bytes(challenge),
            at,
            number: NumberTag::from_bytes(number),
            window,
            slot,
            address_slot,
            allowance,
            provider,
            state,
        })
    }

    fn records() -> impl Strategy<Value = AccountRecord> {
        let backup = (vec(any::<[u8; 32]>(), 0..=10), any::<u32>(), option::of(instants())).prop_map(
            |(digests, failed_attempts, last_failed_at)| BackupCodes {
                digests: digests.into_iter().map(Digest::from_bytes).collect(),
                failed_attempts,
                last_failed_at,
            },
        );
        let notified = (select(&NotificationKind::ALL[..]), instants()).prop_map(|(kind, at)| SentNotification { kind, at });
        let account = (factors(), backup, vec(sends(), 0..6), vec(notified, 0..4)).prop_map(|(sms, backup, sends, notified)| {
            Account { sms, backup, sends: SendLog::new(sends), notifications: NotificationLog::new(notified) }
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
            if record.account.sms.state == FactorState::Off {
                let AttributeValue::M(sms) = whole.get_mut("sms").unwrap() else { panic!("a map") };
                sms.remove("phone");
                sms.remove("enabled_at");
            }
            for damaged in with_one_part_missing(&AttributeValue::M(whole)) {
                let damaged = damaged.as_m().unwrap().clone();
                prop_assert!(AccountRecord::try_from(damaged).is_err());
            }
        }
    }

    #[test]
    fn every_value_that_is_packed_as_a_byte_has_its_place() {
        assert_eq!(PROVIDERS.len(), Provider::ALL.len());
        assert!(Provider::ALL.iter().all(|provider| PROVIDERS.contains(provider)));
        assert!(NotificationKind::ALL.iter().all(|kind| NOTIFICATIONS.contains(kind)));
        // A new variant stops the compiler here: give it the next place in its list, and in this match.
        for (index, state) in STATES.iter().enumerate() {
            let place = match state {
                SendState::Unanswered => 0,
                SendState::Answered => 1,
                SendState::Refused => 2,
                SendState::GivenBack => 3,
            };
            assert_eq!(index, place);
        }
    }

    #[test]
    fn another_schema_is_refused() {
        let record = AccountRecord { account: Account::default(), version: Version(1) };
        for schema in [number(0), number(3), AttributeValue::N("1.5".to_owned()), text("2"), AttributeValue::Null(true)] {
            let mut item = Item::from(&record);
            item.insert(SCHEMA_ATTRIBUTE.to_owned(), schema.clone());
            assert_eq!(AccountRecord::try_from(item.clone()), Err(RecordError::UnknownSchema), "{schema:?}");
        }
    }

    #[test]
    fn values_that_cannot_be_are_refused() {
        let record = AccountRecord { account: Account::default(), version: Version(1) };
        let damaged = |attribute: &str, value| {
            let mut item = Item::from(&record);
            item.insert(attribute.to_owned(), value);
            AccountRecord::try_from(item)
        };
        let factor = |attribute: &'static str, value| {
            let AttributeValue::M(mut sms) = write_factor(&SmsFactor::default()) else { panic!("a map") };
            sms.insert(attribute.to_owned(), value);
            AttributeValue::M(sms)
        };
        let mut no_such_state = write_send(&sample_send(0));
        *no_such_state.last_mut().unwrap() = 9;
        for (attribute, value, named, reason) in [
            ("version", number(-1), "version", "a negative version"),
            ("version", text("1"), "version", "a version in words"),
            ("sms", factor("state", text("maybe")), "state", "an unknown state"),
            ("sms", factor("pending", text("US +12015550123")), "pending", "a number without its calling code"),
            ("sms", AttributeValue::Null(true), "sms", "no factor at all"),
            ("backup_codes", bytes(&[0; 33]), "backup_codes", "a digest and a byte"),
            ("sends", bytes(&no_such_state), "sends", "a send in an unknown state"),
            ("notified", bytes(&[7; 9]), "notified", "an unknown notification"),
        ] {
            assert_eq!(damaged(attribute, value), Err(RecordError::Malformed(named)), "{reason}");
        }
    }

    fn sample_send(index: u16) -> SentCode {
        SentCode {
            challenge: ChallengeId::from_bytes([u8::try_from(index).unwrap(); 16]),
            at: Timestamp::from_millis(1_800_000_000_000),
            number: NumberTag::from_bytes([9; 8]),
            window: WindowKind::Sends,
            slot: index,
            address_slot: None,
            allowance: Allowance::User,
            provider: Some(Provider::MessageBird),
            state: SendState::Unanswered,
        }
    }

    /// The size of an item, by the rules of the DynamoDB Developer Guide ("Item sizes and formats").
    fn size(item: &Item) -> usize {
        fn value(of: &AttributeValue) -> usize {
            match of {
                AttributeValue::S(text) => text.len(),
                AttributeValue::N(digits) => digits.len().div_ceil(2) + 1,
                AttributeValue::B(blob) => blob.as_ref().len(),
                AttributeValue::M(fields) => {
                    3 + fields.len() + fields.iter().map(|(name, field)| name.len() + value(field)).sum::<usize>()
                }
                AttributeValue::L(elements) => 3 + elements.len() + elements.iter().map(value).sum::<usize>(),
                _ => 1,
            }
        }
        item.iter().map(|(name, field)| name.len() + value(field)).sum()
    }

    #[test]
    fn a_busy_account_is_one_write_unit() {
        let user = UserId::parse("6f9619ff-8b86-d011-b42d-00c04fc964ff").unwrap();
        let (pepper, now) = (Pepper::new(&[1; 32]).unwrap(), Timestamp::from_millis(1_800_000_000_000));
        let mut rng = ChaCha12Rng::seed_from_u64(1);
        let until = now.plus(Policy::default().code_ttl);
        let superseded = SupersededCode { tag: CodeTag::from_bytes([1; 8]), until };
        let account = Account {
            sms: SmsFactor {
                state: FactorState::On(ActivePhone { phone: phone("+4915112345678"), enabled_at: now }),
                pending: Some(PendingPhone { phone: phone("+447400123456"), expires_at: until }),
                challenge: Some(Challenge {
                    id: ChallengeId::from_bytes([1; 16]),
                    purpose: Purpose::SignIn,
                    digest: Digest::from_bytes([1; 32]),
                    tag: Some(CodeTag::from_bytes([1; 8])),
                    expires_at: until,
                    failed_attempts: 4,
                    superseded: vec![superseded; 4],
                }),
                failed_attempts: FailedAttempts { count: 99, last_at: Some(now), locked_until: Some(now) },
            },
            backup: BackupCodes {
                failed_attempts: 10,
                last_failed_at: Some(now),
                ..BackupCodes::issue(&pepper, &user, &mut rng).1
            },
            sends: SendLog::new((0..5).map(sample_send).collect()),
            notifications: NotificationLog::default(),
        };
        let mut item = Item::from(&AccountRecord { account, version: Version(now.as_millis()) });
        item.extend(super::super::super::keys::Key::account(&user).attributes());
        assert!(size(&item) < 1024, "{} bytes", size(&item));
    }
}
