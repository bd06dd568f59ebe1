//! What the HTTP service gets from the flags, and the link to the operator's window.

use super::options::ServeOptions;
use super::secrets::Secrets;
use crate::config::loop_view::LOOP_VIEW;
use crate::config::room::WRONG_SECRETS;
use crate::config::services::SERVICES;
use crate::services::http::request_counts::RequestCounts;
use crate::services::http::rights::{Rights, RightsSettings};
use crate::services::http::shared::HttpShared;
use crate::services::http::tabs::Tabs;
use crate::services::operator_history::OperatorHistory;
use crate::services::room::view::RoomView;
use crate::services::roster::Roster;
use crate::session::loop_metrics::LoopMetrics;
use crate::session::loop_view::LoopView;
use crate::session::shared::OnOperatorLine;
use crate::setup::error::StartError;
use crate::setup::password::Secret;
use crate::store::file_store::FileStore;
use std::cell::RefCell;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Rc;

/// What all HTTP connections share.
pub fn http_shared(
    store: &Rc<FileStore>,
    roster: Option<Rc<RefCell<Roster>>>,
    room: Option<Rc<RefCell<RoomView>>>,
    options: &ServeOptions,
    secrets: &Secrets,
    services: impl Iterator<Item = &'static str>,
) -> Result<HttpShared, StartError> {
    let settings = RightsSettings {
        names: options.http_names.clone(),
        token: secrets.token.as_ref().map(|token| token.text.clone()),
        exposed: secrets.http_exposed,
        read_only: options.read_only,
    };
    let epoch = getrandom::u64().map_err(|error| {
        StartError::new(format!("cannot get random bytes from the kernel: {error}"))
    })?;
    let random = |secret: &mut [u8; _]| getrandom::fill(secret).is_ok();
    let metrics = Rc::new(LoopMetrics::new(services));
    Ok(HttpShared {
        limits: Rc::new(SERVICES),
        store: store.clone(),
        date: RefCell::default(),
        rights: RefCell::new(Rights::new(settings, WRONG_SECRETS)),
        index: options.index,
        requests: RequestCounts::default(),
        loop_view: Rc::new(LoopView::new(metrics.clone(), LOOP_VIEW)),
        metrics,
        roster,
        history: Rc::new(RefCell::new(OperatorHistory::new(
            SERVICES.window.history,
            epoch,
        ))),
        room,
        tabs: RefCell::new(Tabs::new(Box::new(random))),
    })
}

/// Adds each line to the operator to the history that the tabs show.
pub fn copy_lines(http: &HttpShared) -> OnOperatorLine {
    let history = http.history.clone();
    Box::new(move |line, unix, posts| history.borrow_mut().add(line.clone(), unix, posts))
}

/// The line with the link to the operator's window. A token of a file is not printed.
pub fn link(address: SocketAddr, token: &Secret, names: &[String]) -> String {
    let host = match (names.first(), address.ip()) {
        (Some(name), _) => name.clone(),
        (None, ip) if !ip.is_unspecified() => SocketAddr::new(ip, 0).to_string(),
        (None, ip) if ip.is_ipv4() => Ipv4Addr::LOCALHOST.to_string(),
        (None, _) => format!("[{}]", Ipv6Addr::LOCALHOST),
    };
    let host = host.strip_suffix(":0").unwrap_or(&host);
    let port = address.port();
    match token.made {
        true => format!(
            "http window: http://{host}:{port}/-/app/#token={}\n",
            token.text
        ),
        false => format!("http window: http://{host}:{port}/-/app/#token=TOKEN\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_link_names_a_host_that_a_browser_can_reach() {
        let token = |made| Secret {
            text: "abc".to_owned(),
            made,
        };
        let link = |address: &str, made, names: &[String]| {
            super::link(address.parse().expect("an address"), &token(made), names)
        };
        let names = ["box.lan".to_owned()];
        for (address, names, host) in [
            ("192.0.2.1:80", &[][..], "192.0.2.1:80"),
            ("[2001:db8::1]:80", &[], "[2001:db8::1]:80"),
            ("0.0.0.0:80", &[], "127.0.0.1:80"),
            ("[::]:80", &[], "[::1]:80"),
            ("0.0.0.0:80", &names, "box.lan:80"),
        ] {
            let wanted = format!("http window: http://{host}/-/app/#token=abc\n");
            assert_eq!(link(address, true, names), wanted);
        }
        let wanted = "http window: http://127.0.0.1:80/-/app/#token=TOKEN\n";
        assert_eq!(link("127.0.0.1:80", false, &[]), wanted, "it is in a file");
    }
}
