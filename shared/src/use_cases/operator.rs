//! What an operator may do to an account: every act is an audit event, and none shows or makes a code.

use super::{Caller, Failure, Granted, RequestStats, Service};
use crate::{
    domain::Command,
    ports::{SmsSender, Store},
};

impl<S: Store, M: SmsSender> Service<S, M> {
    /// Lifts the user's locks and starts the counts of wrong codes anew. A disabled factor stays disabled.
    pub async fn unlock(&self, operator: &Caller, stats: &mut RequestStats) -> Result<Granted, Failure> {
        self.settle_and_tell(operator, &Command::Unlock, stats).await
    }

    /// Removes the user's factor and whatever is pending, and tells the number that was active.
    pub async fn reset(&self, operator: &Caller, stats: &mut RequestStats) -> Result<Granted, Failure> {
        self.settle_and_tell(operator, &Command::Reset, stats).await
    }
}
