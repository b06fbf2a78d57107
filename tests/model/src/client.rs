//! Clients: what one asks for, one request after the other.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use two_factor::{
    domain::{AllowedCountries, MessageTemplate, Pepper, PhoneNumber, Policy, Proof, Purpose, UserId},
    ports::{Deadline, Origin},
    use_cases::{Caller, Failure, Granted, RequestStats, Rules, Service},
};

use crate::{
    ports::Ports,
    world::{Answered, Asked, Shared},
};

/// Which code a client hands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Typed {
    /// The latest code that arrived when the client begins.
    Latest,
    /// The one of these, counted from the first that arrived.
    Nth(usize),
    /// One that was never sent.
    Wrong,
    /// This one of the backup codes that were shown first.
    Backup(usize),
}

/// What a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Enrolls this number, or puts it in the place of the active one.
    Setup(&'static str, Option<Typed>),
    /// Asks for a code.
    Send(Purpose),
    /// Hands in a code.
    Verify(Typed, Purpose),
    /// Hands in a code, for new backup codes.
    Regenerate(Typed),
    /// Turns 2FA off, or drops an enrollment.
    Disable(Option<Typed>),
    /// An operator lifts the lock.
    Unlock,
    /// An operator removes the factor.
    Reset,
}

/// One client: a user, and what they ask for, in order.
pub type Program<'a> = (&'static str, &'a [Action]);

/// The key of the digests.
///
/// # Panics
/// Never: it is long enough.
#[expect(clippy::expect_used, reason = "it is long enough")]
pub fn pepper() -> Pepper {
    Pepper::new(&[7; 32]).expect("long enough")
}

/// A client that runs.
pub type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The user of this name.
///
/// # Panics
/// Where that is no name of a user.
#[expect(clippy::expect_used, reason = "scenarios are written here")]
pub fn user(name: &str) -> UserId {
    UserId::parse(name).expect("a user's name")
}

/// The number that this is.
///
/// # Panics
/// Where that is no phone number.
#[expect(clippy::expect_used, reason = "scenarios are written here")]
pub fn phone(number: &str) -> PhoneNumber {
    PhoneNumber::parse(number, &AllowedCountries::All).expect("a phone number")
}

#[expect(clippy::expect_used, reason = "the name is good")]
fn rules(policy: &Policy) -> Rules {
    Rules {
        pepper: pepper(),
        policy: policy.clone(),
        allowed_countries: AllowedCountries::All,
        template: MessageTemplate::new("Model", None).expect("a good name"),
        test_numbers: None,
    }
}

/// The client number `client`, ready to begin. `backup` are the backup codes that were shown first.
pub fn client(shared: &Shared, client: usize, (name, actions): Program<'_>, policy: &Policy, backup: &[String]) -> Running {
    let (shared, actions, policy, backup) = (shared.clone(), actions.to_vec(), policy.clone(), backup.to_vec());
    Box::pin(async move {
        for action in actions {
            request(&shared, client, user(name), action, &policy, &backup).await;
        }
    })
}

async fn request(shared: &Shared, client: usize, user: UserId, action: Action, policy: &Policy, backup: &[String]) {
    let request = format!("r{}", shared.world().fresh());
    let typed = typed_in(action).map(|typed| text_of(shared, &user, typed, backup));
    let asked = Asked { request: request.clone(), user: user.clone(), action, typed: typed.clone() };
    shared.world().asked.push(asked.clone());
    let ports = Ports { shared: shared.clone(), client, user: user.clone(), request: request.clone() };
    let shared_ports = Arc::new(ports.clone());
    let service = Service::new(ports.clone(), ports, Arc::<Ports>::clone(&shared_ports), shared_ports, rules(policy));
    let caller = Caller { user: user.clone(), origin: Origin { request_id: request.clone(), ..Origin::default() } };
    let result = ask(&service, &caller, action, typed.as_deref()).await;
    let said = match &result {
        Ok(_) => "granted".to_owned(),
        Err(failure) => format!("{failure:?}"),
    };
    shared.note(client, &format!("{action:?} is answered: {said}"));
    let mut world = shared.world();
    let commits = world.table.commits.len();
    world.answers.push(Answered { asked, result, commits });
}

async fn ask(service: &Service<Ports, Ports>, caller: &Caller, action: Action, typed: Option<&str>) -> Result<Granted, Failure> {
    let mut stats = RequestStats::default();
    let mut session = service.session(caller, Deadline::after(Duration::from_hours(1)), &mut stats);
    let proof = match typed.map(Proof::parse) {
        Some(Ok(proof)) => Some(proof),
        // A code that never arrived is nothing to hand in.
        Some(Err(_)) => return Err(Failure::Unavailable),
        None => None,
    };
    match (action, proof) {
        (Action::Setup(number, _), proof) => session.setup(phone(number), proof).await,
        (Action::Send(purpose), _) => session.send_sms(Some(purpose)).await,
        (Action::Verify(_, purpose), Some(proof)) => session.verify(proof, Some(purpose), false).await,
        (Action::Regenerate(_), Some(proof)) => session.verify(proof, None, true).await,
        (Action::Disable(_), proof) => session.disable(proof).await,
        (Action::Unlock, _) => session.unlock().await,
        (Action::Reset, _) => session.reset().await.map(|_| two_factor::domain::Answer::Done.into()),
        (Action::Verify(..) | Action::Regenerate(_), None) => Err(Failure::Unavailable),
    }
}

const fn typed_in(action: Action) -> Option<Typed> {
    match action {
        Action::Setup(_, typed) | Action::Disable(typed) => typed,
        Action::Verify(typed, _) | Action::Regenerate(typed) => Some(typed),
        Action::Send(_) | Action::Unlock | Action::Reset => None,
    }
}

fn text_of(shared: &Shared, user: &UserId, typed: Typed, backup: &[String]) -> String {
    let codes = shared.world().codes(user);
    let found = match typed {
        Typed::Latest => codes.last().cloned(),
        Typed::Nth(n) => codes.get(n).cloned(),
        Typed::Wrong => ["000000", "111111"].map(str::to_owned).into_iter().find(|code| !codes.contains(code)),
        Typed::Backup(n) => backup.get(n).cloned(),
    };
    found.unwrap_or_default()
}
