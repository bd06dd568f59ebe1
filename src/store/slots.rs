//! Bounds the pieces of uploads that wait to be written to a device: each holds a pipe.
//!
//! ```text
//!   take ──▶ Slot ── dropped ──▶ the first ticket gets it, and its session is notified
//!     └────▶ Ticket, in order of the requests
//! ```

use super::workers::Workers;
use crate::session::session_id::SessionId;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// The slots of all devices.
pub(super) struct Slots {
    /// Of one device.
    most: usize,
    workers: Workers,
    devices: Mutex<HashMap<u64, DeviceSlots>>,
}

#[derive(Default)]
struct DeviceSlots {
    used: usize,
    waiting: VecDeque<(Weak<Ticket>, SessionId)>,
}

/// The permission for one piece. Dropping it passes it on.
pub(super) struct Slot {
    device: u64,
    slots: Arc<Slots>,
}

/// Gets a slot later. Dropping it passes the slot on.
#[derive(Default)]
pub(super) struct Ticket(Mutex<Option<Slot>>);

impl Ticket {
    /// The slot, once.
    pub fn slot(&self) -> Option<Slot> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Slots {
    /// This number of slots for each device.
    pub fn new(most: usize, workers: &Workers) -> Arc<Slots> {
        Arc::new(Slots {
            most,
            workers: workers.clone(),
            devices: Mutex::default(),
        })
    }

    /// A slot, or a ticket for one: the session is notified when the ticket has it.
    pub fn take(self: &Arc<Self>, device: u64, session: SessionId) -> Result<Slot, Arc<Ticket>> {
        let mut devices = self.lock();
        let slots = devices.entry(device).or_default();
        if slots.used < self.most {
            slots.used += 1;
            let slots = self.clone();
            return Ok(Slot { device, slots });
        }
        let ticket = Arc::new(Ticket::default());
        let waiting = (Arc::downgrade(&ticket), session);
        slots.waiting.push_back(waiting);
        Err(ticket)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, DeviceSlots>> {
        self.devices.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut devices = self.slots.lock();
        let slots = devices.get_mut(&self.device).expect("a slot is used");
        while let Some((ticket, session)) = slots.waiting.pop_front() {
            if let Some(ticket) = ticket.upgrade() {
                drop(devices);
                let (device, slots) = (self.device, self.slots.clone());
                let slot = Slot { device, slots };
                *ticket.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(slot);
                self.slots.workers.notify(session);
                return;
            }
        }
        slots.used -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_passes_to_the_first_ticket_that_still_waits() {
        let slots = Slots::new(1, &Workers::default());
        let take = |number| slots.take(7, SessionId(number));
        let first = take(1).ok().expect("it is free");
        assert!(slots.take(8, SessionId(9)).is_ok(), "another device");
        let mut tickets: Vec<_> = (2..6).map(|number| take(number).err().unwrap()).collect();
        drop(tickets.remove(0));
        drop(first);
        let held = tickets.remove(0).slot().expect("it is the first");
        assert!(tickets[0].slot().is_none());
        drop(held);
        // This one does not use its slot.
        drop(tickets.remove(0));
        drop(tickets.remove(0).slot().expect("it was passed on"));
        assert!(take(6).is_ok());
    }
}
