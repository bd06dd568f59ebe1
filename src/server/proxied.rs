//! The services behind the header of a proxy.

use super::{Parts, TcpService};
use crate::config;
use crate::reactor::acceptor::MakeProtocol;
use crate::services::proxied::Proxied;
use crate::session::proxies::Proxies;
use std::rc::Rc;

/// Makes the protocol of a new connection, behind the header of a proxy if there are proxies.
pub(super) fn make_protocol(
    service: &TcpService,
    parts: &Rc<Parts>,
    proxies: &Rc<Proxies>,
) -> MakeProtocol {
    let (make, parts) = (service.make, parts.clone());
    let make = Box::new(move |client| make(&parts, client));
    if proxies.is_empty() {
        return make;
    }
    let proxied = Rc::new(Proxied {
        name: service.name,
        proxies: proxies.clone(),
        make,
        refusal: service.refusal,
        longest: config::PROXY_HEADER,
    });
    Box::new(move |peer| proxied.greet(peer))
}
