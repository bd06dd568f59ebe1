//! One of a thousand members speaks in the room.
//! Only a bare loop is beside it: no other server has such a room.

use super::Stage;
use super::goal::Goal;
use crate::measure::Contender;
use crate::measure::crowd::{self, Crowd};
use std::cell::RefCell;
use std::collections::HashMap;

pub fn compare(stage: &mut Stage) -> Result<(), String> {
    let root = stage.folder("room")?;
    let seconds = stage.plan.seconds;
    let crowds = RefCell::new(HashMap::new());
    stage.compare(
        &format!("room, {} B to {} members", crowd::SIZE, crowd::MEMBERS),
        vec![
            Ok(stage.loket("room", &root, &[])),
            Contender::bare("bare", "room", &root),
        ],
        crowd::table(seconds),
        &[Goal::cpu(&["bare"], 1.1)],
        |server, _| {
            let crowd = Crowd::join(server.at)?;
            crowds.borrow_mut().insert(server.label, crowd);
            Ok(())
        },
        |server, _| {
            let mut crowds = crowds.borrow_mut();
            let crowd = crowds.get_mut(server.label);
            crowd.ok_or("nobody has joined")?.run(server, seconds)
        },
    )
}
