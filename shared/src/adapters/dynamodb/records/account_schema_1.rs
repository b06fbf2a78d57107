//! An account of schema 1, the first release's: read, so that functions may be updated one after the other, and never written.

use super::attributes::{Node, RecordError};
use crate::domain::{
    Account, BackupCodes, Challenge, ChallengeId, Country, Digest, FailedAttempts, PhoneNumber, Purpose, SendLog, SmsFactor,
    message::notification::NotificationLog,
    sms::{
        factor::{ActivePhone, FactorState, PendingPhone},
        send_window::{Allowance, NumberTag, SendState, SentCode, WindowKind},
    },
};

pub(super) const SCHEMA: u32 = 1;

/// Reads the account as what it means today. Notifications are forgotten: their kinds were not kept, and one told too often is
/// better than one not told.
pub(super) fn read_account(node: Node<'_>) -> Result<Account, RecordError> {
    let backup = read_failed_attempts(node.field("backup_guesses")?)?;
    Ok(Account {
        sms: SmsFactor {
            state: read_state(node.field("sms")?)?,
            pending: node.optional("pending")?.map(read_pending).transpose()?,
            challenge: node.optional("challenge")?.map(read_challenge).transpose()?,
            failed_attempts: read_failed_attempts(node.field("sms_guesses")?)?,
        },
        backup: BackupCodes {
            digests: node.field("backup_codes")?.elements(|digest| digest.array().map(Digest::from_bytes))?,
            failed_attempts: backup.count,
            last_failed_at: backup.last_at,
        },
        sends: SendLog::new(node.field("sends")?.elements(read_send)?),
        notifications: NotificationLog::default(),
    })
}

fn read_state(node: Node<'_>) -> Result<FactorState, RecordError> {
    let state = node.field("state")?;
    let active = || Ok(ActivePhone { phone: read_phone(node.field("phone")?)?, enabled_at: node.field("enabled_at")?.moment()? });
    match state.text()? {
        "off" => Ok(FactorState::Off),
        "on" => active().map(FactorState::On),
        "disabled" => active().map(FactorState::Disabled),
        _ => Err(state.malformed()),
    }
}

fn read_pending(node: Node<'_>) -> Result<PendingPhone, RecordError> {
    Ok(PendingPhone { phone: read_phone(node.field("phone")?)?, expires_at: node.field("expires_at")?.moment()? })
}

/// The purpose `sign_in` confirmed changes, too; today it serves signing in alone.
fn read_challenge(node: Node<'_>) -> Result<Challenge, RecordError> {
    let purpose = node.field("purpose")?;
    Ok(Challenge {
        id: ChallengeId::from_bytes(node.field("id")?.array()?),
        purpose: Purpose::from_name(purpose.text()?).ok_or(purpose.malformed())?,
        digest: Digest::from_bytes(node.field("digest")?.array()?),
        tag: None,
        expires_at: node.field("expires_at")?.moment()?,
        failed_attempts: node.field("wrong_guesses")?.number()?,
        superseded: Vec::new(),
    })
}

fn read_phone(node: Node<'_>) -> Result<PhoneNumber, RecordError> {
    let country = node.field("country")?;
    let country = Country::parse(country.text()?).ok_or(country.malformed())?;
    let number = node.field("number")?;
    PhoneNumber::from_storage(number.text()?.to_owned(), node.field("calling_code")?.number()?, country).ok_or(number.malformed())
}

fn read_failed_attempts(node: Node<'_>) -> Result<FailedAttempts, RecordError> {
    Ok(FailedAttempts {
        count: node.field("failures")?.number()?,
        last_at: node.optional("last_failure")?.map(Node::moment).transpose()?,
        locked_until: node.optional("locked_until")?.map(Node::moment).transpose()?,
    })
}

/// A number had one window then, the one that is an own number's today; which number it was is not told.
fn read_send(node: Node<'_>) -> Result<SentCode, RecordError> {
    Ok(SentCode {
        challenge: ChallengeId::from_bytes(node.field("challenge")?.array()?),
        at: node.field("at")?.moment()?,
        number: NumberTag::from_bytes([0; 8]),
        window: WindowKind::Sends,
        slot: node.field("phone_lease")?.number()?,
        address_slot: node.optional("address_lease")?.map(Node::number).transpose()?,
        allowance: Allowance::User,
        provider: None,
        state: SendState::Unanswered,
    })
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};
    use rand::{SeedableRng, rngs::ChaCha12Rng};
    use serde_json::Value;

    use super::{
        super::{account::AccountRecord, attributes::Item},
        *,
    };
    use crate::domain::{
        Code, Command, Pepper, Policy, Proof, Timestamp, UserId, decide, decide::Context, message::route::Routes,
    };

    /// DynamoDB's JSON, as the AWS CLI shows it; binaries in hex.
    fn attribute(json: &Value) -> AttributeValue {
        let (kind, value) = json.as_object().unwrap().iter().next().unwrap();
        match (&**kind, value) {
            ("S", Value::String(text)) => AttributeValue::S(text.clone()),
            ("N", Value::String(digits)) => AttributeValue::N(digits.clone()),
            ("B", Value::String(hex)) => {
                let byte = |index| u8::from_str_radix(&hex[index..index + 2], 16).unwrap();
                AttributeValue::B(Blob::new((0..hex.len()).step_by(2).map(byte).collect::<Vec<_>>()))
            }
            ("NULL", _) => AttributeValue::Null(true),
            ("L", Value::Array(elements)) => AttributeValue::L(elements.iter().map(attribute).collect()),
            ("M", Value::Object(fields)) => {
                AttributeValue::M(fields.iter().map(|(name, field)| (name.clone(), attribute(field))).collect())
            }
            other => panic!("{other:?}"),
        }
    }

    fn sample(name: &str) -> Account {
        let samples: Value = serde_json::from_str(include_str!("account_schema_1_samples.json")).unwrap();
        let fields = samples[name].as_object().unwrap();
        let item: Item = fields.iter().map(|(name, field)| (name.clone(), attribute(field))).collect();
        AccountRecord::try_from(item).unwrap().account
    }

    fn code(digits: &str) -> Code {
        let Ok(Proof::Sms(code)) = Proof::parse(digits) else { panic!("a code") };
        code
    }

    #[test]
    fn stored_samples_of_the_schema_before_are_read_as_what_they_mean_today() {
        let pending = sample("enrolling");
        assert_eq!(pending.sms.state, FactorState::Off);
        assert_eq!(pending.sms.pending.as_ref().unwrap().phone.as_e164(), "+12015550123");
        assert_eq!(pending.sends.iter().len(), 1);

        let disabled = sample("disabled");
        assert!(disabled.sms.is_disabled() && disabled.has_factor());
        assert_eq!(
            (disabled.sms.failed_attempts.count, disabled.backup.failed_attempts, disabled.backup.remaining()),
            (100, 3, 2)
        );
    }

    #[test]
    fn a_code_that_the_version_before_sent_still_enrolls() {
        let account = sample("enrolling");
        let sent_at = account.sends.iter().next().unwrap().at;
        let (user, pepper, policy) = (UserId::parse("alice").unwrap(), Pepper::new(&[3; 32]).unwrap(), Policy::default());
        let context = Context {
            policy: &policy,
            allowed_countries: &crate::domain::AllowedCountries::All,
            pepper: &pepper,
            user: &user,
            now: Timestamp::from_millis(sent_at.as_millis() + 1000),
            test_numbers: None,
            routes: &Routes::default(),
            number_window: None,
            address_window: None,
        };
        let proof = Proof::Sms(code("123456"));
        let command = Command::Verify { proof, purpose: None, regenerate_backup_codes: false };
        let mut rng = ChaCha12Rng::seed_from_u64(1);
        let decision = decide(account, &command, &context, &mut rng);
        assert!(decision.outcome.is_ok(), "{:?}", decision.outcome);
    }
}
