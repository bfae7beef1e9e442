//! The data behind the lock.

use super::{
    fault::FaultQueues,
    journal::{Call, Journal},
    people::Person,
    recent::LIMIT,
    refused::Refused,
    settings::MockSettings,
    store::TokenStore,
};

pub(super) struct MockState {
    pub(super) app: RegisteredApp,
    pub(super) people: Vec<Person>,
    pub(super) settings: MockSettings,
    pub(super) store: TokenStore,
    pub(super) faults: FaultQueues,
    pub(super) journal: Journal,
}

/// The app as registered with the mock.
pub(super) struct RegisteredApp {
    pub(super) id: String,
    pub(super) key: String,
    pub(super) redirect_uri: String,
}

impl MockState {
    pub(super) fn new(id: String, key: String, redirect_uri: String) -> Self {
        Self {
            app: RegisteredApp {
                id,
                key,
                redirect_uri,
            },
            people: Person::defaults(),
            settings: MockSettings::default(),
            store: TokenStore::new(),
            faults: FaultQueues::default(),
            journal: Journal::default(),
        }
    }

    /// Adds users, and removes the oldest ones if there are too many.
    pub(super) fn add_people(&mut self, people: impl IntoIterator<Item = Person>) {
        self.people.extend(people);
        let excess = self.people.len().saturating_sub(LIMIT);
        self.people.drain(..excess);
    }

    pub(super) fn find_person(&self, openid: &str) -> Option<&Person> {
        self.people.iter().find(|person| person.openid == openid)
    }

    pub(super) fn check_client_id(&self, call: &Call) -> Result<(), Refused> {
        match call.non_empty_param("client_id") {
            None => Err(Refused::new(100001)),
            Some(id) if id != self.app.id => Err(Refused::new(100008)),
            Some(_) => Ok(()),
        }
    }
}
