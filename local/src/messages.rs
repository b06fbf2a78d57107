//! Where text messages go.

use std::sync::Arc;

use two_factor::domain::Provider;

use crate::sms_inbox::SmsInbox;

/// Where text messages go.
#[derive(Clone, Debug)]
pub enum Messages {
    /// Nowhere: in development, where no provider is configured, codes are in the answers.
    Answers,
    /// Nowhere: in production, where no provider is configured, no code can be sent.
    Nowhere,
    /// To the inbox that `SMS_INBOX` asks for.
    Inbox(Arc<SmsInbox>),
    /// To people, through these providers in their order; that costs money.
    Providers(Vec<Provider>),
}
