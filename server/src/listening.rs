//! Listening elsewhere while running: CONFIG SET `bind` and `port`.
//!
//! New listeners are bound before old ones are closed, so that a change which fails changes nothing. Where an old
//! listener has a port that a new one needs as well (`*:6379` becomes `127.0.0.1:6379`), both have it for a moment.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

use crate::config::Settings;
use crate::os::platform::Listener;
use crate::os::reactor::{self, Sharing};
use crate::start;

/// The listeners that `settings` ask for, where `current` ones are open: those of them that stay, and new ones. Unix
/// sockets stay.
pub fn rebind(settings: &Settings, current: &[Listener]) -> io::Result<Vec<Listener>> {
    let ours = |address: &SocketAddr| {
        current
            .iter()
            .find(|listener| listener.tcp_address().as_ref() == Some(address))
    };
    let mut listeners = Vec::new();
    for bind in settings.bind.iter().filter(|_| settings.port != 0) {
        let resolved = (bind.host(), settings.port).to_socket_addrs();
        let bound = resolved
            .and_then(|mut all| all.next().ok_or(io::ErrorKind::AddrNotAvailable.into()))
            .and_then(|address| match ours(&address) {
                Some(listener) => listener.try_clone(),
                None => bind_new(address, settings, current),
            });
        match bound {
            Ok(listener) => listeners.push(listener),
            Err(error) if bind.is_optional() && start::is_absent(&error) => {}
            Err(error) => return Err(error),
        }
    }
    for listener in current {
        if listener.tcp_address().is_none() {
            listeners.push(listener.try_clone()?);
        }
    }
    Ok(listeners)
}

fn bind_new(
    address: SocketAddr,
    settings: &Settings,
    current: &[Listener],
) -> io::Result<Listener> {
    let rivals: Vec<_> = current
        .iter()
        .filter(|listener| {
            let rival = listener.tcp_address();
            rival.is_some_and(|rival| rival.port() == address.port())
        })
        .collect();
    let sharing = if rivals.is_empty() {
        Sharing::Never
    } else {
        Sharing::With(&rivals)
    };
    reactor::bind_tcp_sharing(address, settings.tcp_backlog as i32, sharing)
}

/// Other handles of the same listeners.
pub fn clones(listeners: &[Listener]) -> io::Result<Vec<Listener>> {
    listeners.iter().map(Listener::try_clone).collect()
}
