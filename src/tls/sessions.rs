//! Sessions that a server lets us resume.

use std::sync::{Mutex, PoisonError};

use rustls::NamedGroup;
use rustls::client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls_pki_types::ServerName;

/// The last session of each version that one server gave, whatever its name.
#[derive(Debug, Default)]
pub struct Sessions {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    tls12: Option<Tls12ClientSessionValue>,
    tls13: Option<Tls13ClientSessionValue>,
    /// The largest that a ticket of TLS 1.3 allowed.
    early_data: Option<u32>,
}

impl Sessions {
    /// Whether there is a ticket of TLS 1.3.
    pub fn has_tls13_ticket(&self) -> bool {
        self.with(|kept| kept.tls13.is_some())
    }

    /// Bytes of early data that the tickets of TLS 1.3 allow; none when there was no ticket.
    pub fn early_data(&self) -> Option<u32> {
        self.with(|kept| kept.early_data)
    }

    fn with<T>(&self, work: impl FnOnce(&mut Kept) -> T) -> T {
        // Nothing in here can panic, so what is kept is whole in any case.
        work(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ClientSessionStore for Sessions {
    fn set_kx_hint(&self, _server_name: ServerName<'static>, _group: NamedGroup) {}

    fn kx_hint(&self, _server_name: &ServerName<'_>) -> Option<NamedGroup> {
        None
    }

    fn set_tls12_session(&self, _name: ServerName<'static>, session: Tls12ClientSessionValue) {
        self.with(|kept| kept.tls12 = Some(session));
    }

    fn tls12_session(&self, _name: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.with(|kept| kept.tls12.clone())
    }

    fn remove_tls12_session(&self, _name: &ServerName<'static>) {
        self.with(|kept| kept.tls12 = None);
    }

    fn insert_tls13_ticket(&self, _name: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        self.with(|kept| {
            kept.early_data = kept.early_data.max(Some(ticket.max_early_data_size()));
            kept.tls13 = Some(ticket);
        });
    }

    fn take_tls13_ticket(&self, _name: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.with(|kept| kept.tls13.take())
    }
}
