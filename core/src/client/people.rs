//! Other people: what the user's inbox knows of them, and what the user does about them.

use super::Client;
use crate::op::Body;
use crate::policy::Refusal;
use crate::{Code, Millis, OpId, v1};

impl Client {
    /// Friends, requests, blocks and follows, ascending by user id; empty before the inbox has come.
    pub fn contacts(&self) -> impl Iterator<Item = &v1::Contact> {
        self.own_inbox_state().into_iter().flat_map(|inbox| inbox.contacts().iter())
    }

    /// What is known of one user.
    pub fn contact(&self, user: &str) -> Option<&v1::Contact> {
        self.own_inbox_state()?.contacts().get(user)
    }

    /// The user's own status; `None` while there is none, and when its time is over.
    pub fn own_status(&self) -> Option<&v1::Status> {
        let status = self.own_inbox_state()?.contacts().status()?;
        self.is_current_status(status).then_some(status)
    }

    /// A friend's status; `None` for all others, while they show none, and when its time is over.
    pub fn status_of(&self, user: &str) -> Option<&v1::Status> {
        let contact = self.contact(user).filter(|contact| contact.friend() == v1::FriendState::Friends)?;
        contact.status.as_ref().filter(|status| self.is_current_status(status))
    }

    /// Asks for an operation in the user's own inbox: about friends, blocks, follows, the own status.
    ///
    /// # Errors
    /// As for [`submit`](Client::submit), and [`Code::Forbidden`] before it is known who the user is.
    pub fn submit_own(&mut self, body: Body, now: Millis) -> Result<OpId, Refusal> {
        let inbox = self.own_inbox().cloned().ok_or(Code::Forbidden)?;
        self.submit(&inbox, body, now)
    }

    fn is_current_status(&self, status: &v1::Status) -> bool {
        status.until == 0 || self.signals.clock.server(self.now).0 < status.until
    }
}
