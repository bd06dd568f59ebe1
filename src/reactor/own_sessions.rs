//! The sessions that the server opens itself: the operator's console, and the link to other
//! servers. Both have turns like connections, but no limit counts them.

use super::clock::Moment;
use super::dispatcher::Dispatcher;
use super::io::Io;
use crate::session::protocol::Protocol;
use crate::session::session_id::SessionId;
use std::io;
use std::net::SocketAddr;

impl<I: Io> Dispatcher<I> {
    /// Adds the console. Its service is the last in the list of names.
    pub fn open_operator(
        &mut self,
        mut streams: I::Socket,
        protocol: Box<dyn Protocol>,
        now: Moment,
    ) -> io::Result<()> {
        let service = self.services.len() - 1;
        self.io.register(&mut streams, self.table.next_id())?;
        let id = self.insert(streams, service, protocol, now);
        // A terminal returns one line a read, and epoll(7) never reports a regular file.
        let console = self.table.find(id).expect("inserted above");
        console.ready.drain_to_eof = true;
        console.registered = true;
        // A drain closes what has not spoken.
        console.spoke = true;
        self.operator = Some(id);
        Ok(())
    }

    /// Begins the connection of the link. Its service is the one before the console.
    pub fn open_link(
        &mut self,
        to: SocketAddr,
        protocol: Box<dyn Protocol>,
        now: Moment,
    ) -> io::Result<()> {
        let socket = self.io.connect(to)?;
        let id = self.insert(socket, self.services.len() - 2, protocol, now);
        self.link = Some(id);
        self.deliver();
        Ok(())
    }

    /// The id of the link, while it is dialled or open.
    pub fn link(&self) -> Option<SessionId> {
        self.link
    }

    /// The date: seconds since 1970.
    pub fn unix(&self) -> u64 {
        self.shared.unix
    }

    /// Whether idle connections are closed.
    pub fn is_draining(&self) -> bool {
        self.timers.is_draining()
    }

    /// The id of the console, if there is one.
    pub fn operator(&self) -> Option<SessionId> {
        self.operator
    }
}
