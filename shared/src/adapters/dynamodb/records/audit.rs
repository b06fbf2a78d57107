//! A record of the audit trail, as it is stored.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;

use super::{
    super::keys::TTL,
    attributes::{Item, Node, RecordError, SCHEMA_ATTRIBUTE, item, list, moment, number, optional, text},
};
use crate::{
    domain::PhoneNumber,
    ports::{AuditEntry, AuditRecord},
};

/// The shape of audit records.
const AUDIT_SCHEMA: u32 = 1;

/// What the names of the events begin with that are an operator's doing; a test holds it.
const OPERATOR_EVENTS: &str = "operator_";

/// How long the audit trail is kept.
const AUDIT_RETENTION: Duration = Duration::from_hours(400 * 24);

impl From<&AuditRecord> for Item {
    fn from(record: &AuditRecord) -> Self {
        let AuditRecord { user: _, at, nonce: _, event, origin } = record;
        let pair = |(name, value): (&str, String)| AttributeValue::M(item([("name", text(name)), ("value", text(&value))]));
        item([
            (SCHEMA_ATTRIBUTE, number(AUDIT_SCHEMA)),
            ("at", moment(*at)),
            ("event", text(event.kind.as_str())),
            ("outcome", text(event.outcome.as_str())),
            ("phone", optional(event.phone.as_ref().map(PhoneNumber::masked), |masked| text(&masked))),
            ("request_id", text(&origin.request_id)),
            ("address", optional(origin.address, |address| text(&address.to_string()))),
            ("user_agent", optional(origin.user_agent.as_deref(), text)),
            ("details", list(event.details.to_pairs(), pair)),
            (TTL, number(at.plus(AUDIT_RETENTION).as_secs_ceil())),
        ])
    }
}

/// The attributes of a record that may tell who the user is.
const PERSONAL: [&str; 3] = ["phone", "address", "user_agent"];

/// Those of [`PERSONAL`] that this record has. The user agent of an operator's own event says who the operator was (S29): it is not
/// the user's.
pub(in super::super) fn personal_attributes(item: Item) -> Result<Vec<&'static str>, RecordError> {
    let item = AttributeValue::M(item);
    let node = Node::of_schema(&item, AUDIT_SCHEMA)?;
    let is_operators = node.field("event")?.text()?.starts_with(OPERATOR_EVENTS);
    let mut found = Vec::new();
    for name in PERSONAL {
        if node.optional(name)?.is_some() && !(is_operators && name == "user_agent") {
            found.push(name);
        }
    }
    Ok(found)
}

/// Reads a record back.
pub(in super::super) fn read_audit_entry(item: Item) -> Result<AuditEntry, RecordError> {
    let item = AttributeValue::M(item);
    let node = Node::of_schema(&item, AUDIT_SCHEMA)?;
    Ok(AuditEntry {
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        domain::{
            AuditEvent, AuditKind, AuditOutcome, ChallengeId, FailureClass, Provider, Purpose, Refusal, Timestamp, UserId,
            audit::{AuditDetails, Method},
            message::{
                delivery::{Attempt, Failure},
                notification::NotificationKind,
            },
            phone_number::tests::number as phone,
        },
        ports::Origin,
    };

    #[test]
    fn an_audit_record_comes_back_in_words_and_is_kept_for_400_days() {
        let attempt = |provider, result| Attempt { provider, result, duration: Duration::ZERO };
        let refused = Failure::with_code(FailureClass::AuthFailed, 20003);
        let event = AuditEvent {
            kind: AuditKind::Verify,
            outcome: AuditOutcome::Refused(Refusal::InvalidCode { attempts_remaining: Some(4) }),
            phone: Some(phone("+12015550123")),
            details: AuditDetails {
                purpose: Some(Purpose::Change),
                method: Some(Method::Sms),
                provider: Some(Provider::Twilio),
                reference: Some(ChallengeId::from_bytes([7; 16])),
                notification: Some(NotificationKind::BackupCodeUsed),
                attempts: vec![attempt(Provider::Twilio, Err(refused)), attempt(Provider::Sns, Ok("5f1c".into()))],
                is_test: false,
            },
        };
        let origin = Origin {
            request_id: "r-1".to_owned(),
            address: Some("198.51.100.7".parse().unwrap()),
            user_agent: Some("curl".to_owned()),
        };
        let user = UserId::parse("alice").unwrap();
        let record = AuditRecord { user, at: Timestamp::from_millis(1_001), nonce: 7, event, origin };
        let stored = Item::from(&record);
        assert_eq!(stored.get(TTL), Some(&number(2 + 400 * 86_400)));
        let details = [
            ("purpose", "change"),
            ("method", "sms"),
            ("provider", "twilio"),
            ("reference", "07070707070707070707070707070707"),
            ("notification", "backup_code_used"),
            ("attempts", "twilio auth_failed 20003, sns accepted 5f1c"),
        ];
        assert_eq!(
            read_audit_entry(stored),
            Ok(AuditEntry {
                at: record.at,
                event: "verify".to_owned(),
                outcome: "invalid_code".to_owned(),
                phone_masked: Some("+1****0123".to_owned()),
                request_id: "r-1".to_owned(),
                address: Some("198.51.100.7".to_owned()),
                user_agent: Some("curl".to_owned()),
                details: details.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
            })
        );
        assert_eq!(personal_attributes(Item::from(&record)), Ok(vec!["phone", "address", "user_agent"]));
        for kind in [
            AuditKind::OperatorUnlock,
            AuditKind::OperatorReset,
            AuditKind::OperatorErase,
            AuditKind::OperatorImport,
            AuditKind::OperatorTestMessage,
        ] {
            let operators = AuditRecord { event: AuditEvent { kind, ..record.event.clone() }, ..record.clone() };
            assert_eq!(personal_attributes(Item::from(&operators)), Ok(vec!["phone", "address"]), "it says who the operator was");
        }
        let event = AuditEvent::new(AuditKind::Verify, AuditOutcome::Success, None);
        let bare = AuditRecord { event, origin: Origin::default(), ..record };
        assert_eq!(personal_attributes(Item::from(&bare)), Ok(Vec::new()));
        let read = read_audit_entry(Item::from(&bare)).unwrap();
        assert_eq!((read.phone_masked, read.address, read.user_agent, read.details), (None, None, None, Vec::new()));
    }
}
