//! What an operator may do to an account: every act is an audit event, and none shows or makes a code.

use super::{Caller, Failure, Journal, Service};
use crate::{
    domain::Command,
    ports::{SmsSender, Store},
};

impl<S: Store, M: SmsSender> Service<S, M> {
    /// Lifts the user's locks and starts the counts of wrong codes anew. A disabled factor stays disabled.
    pub async fn unlock(&self, operator: &Caller, journal: &mut Journal) -> Result<(), Failure> {
        self.settle(operator, &Command::Unlock, None, None, journal).await.map(|_| ())
    }

    /// Removes the user's factor and whatever is pending, and tells the number that was active.
    pub async fn reset(&self, operator: &Caller, journal: &mut Journal) -> Result<(), Failure> {
        let (_, decision) = self.settle(operator, &Command::Reset, None, None, journal).await?;
        self.deliver_notice(operator, &decision, journal).await;
        Ok(())
    }
}
