//! The room among the rooms of other servers: shows what their members say and do.

use super::elsewhere::Shown;
use super::request::{cut, line_of, one_line};
use super::{Room, join_notice, leave_notice};
use crate::session::datagram::DatagramContext;
use crate::session::notice::{Datagram, Deed, Meaning};
use crate::wire::text;

impl Room {
    pub(super) fn hear_elsewhere(&mut self, cx: &mut DatagramContext<'_>) {
        let Some(elsewhere) = &mut self.elsewhere else {
            return;
        };
        let mut shown = Vec::new();
        elsewhere.on_wake(cx.now, &mut shown);
        self.show_elsewhere(shown, cx);
    }

    pub(super) fn on_time_elsewhere(&mut self, cx: &mut DatagramContext<'_>) {
        let Some(elsewhere) = &mut self.elsewhere else {
            return;
        };
        let mut shown = Vec::new();
        let names = self.members.values().map(|member| &*member.name);
        elsewhere.on_time(cx.now, names, &mut shown, cx.posts);
        self.show_elsewhere(shown, cx);
    }

    fn show_elsewhere(&mut self, shown: Vec<Shown>, cx: &mut DatagramContext<'_>) {
        for shown in shown {
            let (name, deed, text, quiet) = match shown {
                Shown::Member {
                    name,
                    deed,
                    text,
                    quiet,
                } => (name, deed, text, quiet),
                Shown::Lost(count) => {
                    let meaning = Meaning::Lost(count);
                    let line = format!("({count} messages from other servers were lost)");
                    cx.print(&line);
                    let bytes = line.as_bytes().into();
                    cx.out.to_many(Datagram { bytes, meaning }, &self.routes);
                    continue;
                }
            };
            if !self.is_name(&name) {
                continue;
            }
            let line = match deed {
                Deed::Entered => join_notice(&name),
                Deed::Left => leave_notice(&name),
                Deed::Said => line_of(&name, one_line(text.as_bytes())),
            };
            let is_ours = self.names.contains_key(&text::name_key(&name));
            match deed {
                Deed::Entered => drop(self.view.borrow_mut().names.insert(name.clone())),
                Deed::Left if !is_ours => drop(self.view.borrow_mut().names.remove(&name)),
                _ => {}
            }
            if !quiet {
                let fits = self.show(cut(&line, self.limits.message), &name, deed, cx);
                if let Some(elsewhere) = self.elsewhere.as_mut().filter(|_| !fits) {
                    elsewhere.add_lost(1);
                }
            }
        }
    }
}
