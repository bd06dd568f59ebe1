//! What the dispatcher does when a proxy names the client of a connection: from then on, limits and
//! logs are about the client.

use super::clock::Moment;
use super::dispatcher::Dispatcher;
use super::io::Io;
use crate::session::observer::label;
use crate::session::proxies::Client;
use crate::session::session_id::SessionId;

impl<I: Io> Dispatcher<I> {
    /// Gives a connection its next protocol. If that is for a client that a proxy has named, limits
    /// and logs are about the client from now on.
    pub(super) fn replace(&mut self, id: SessionId, now: Moment) {
        let connection = self.table.find(id).expect("it had a turn");
        let (protocol, client) = connection.session.take_successor();
        let (number, mut refused) = (connection.service, None);
        if let Client::At { address, refusal } = client {
            let is_over = self.per_ip.is_reached(address.ip());
            let proxy = self.per_ip.leave(id.slot()).expect("it is open");
            self.per_ip.enter(id.slot(), address);
            let (serial, name) = (id.serial(), self.services[usize::from(number)]);
            log::debug!(service = name, peer:% = address;
                "conn {serial} {name} {proxy}: it is {address}");
            self.shared
                .observer
                .named(label(&self.services, number, id), address);
            if is_over {
                self.per_ip.exempt(id.slot());
                self.per_ip.log_refused(name, address, now);
                refused = Some(refusal.unwrap_or_default());
            }
        }
        let connection = self.table.find(id).expect("as above");
        match refused {
            Some(refusal) => connection.session.refuse(refusal),
            None => {
                let is_open = client == Client::Same;
                (connection.session).replace(protocol, is_open, &mut self.shared)
            }
        }
        self.enqueue(id, false);
    }
}
