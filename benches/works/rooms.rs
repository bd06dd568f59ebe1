//! One of a thousand members speaks in the room.
//! Has only a bare loop beside it: nobody else serves such a room.

use super::Stage;
use super::goal::Goal;
use crate::measure::{Contender, crowd, room};

pub fn compare(stage: &mut Stage) -> Result<(), String> {
    let work = format!("room, {} B to {} members", crowd::SIZE, crowd::MEMBERS);
    if !stage.wants(&work) {
        return Ok(());
    }
    let root = stage.folder("room")?;
    let contenders = [
        stage.loket("room", &root, &[]),
        Contender::bare("bare", "room", &root)?,
    ];
    let table = room::measure(&stage.plan, &contenders, &stage.scratch)?;
    let finding = Goal::cpu(&["bare"], 1.1).judge(&work, &table);
    stage.report.table(&table, &[finding]);
    Ok(())
}
