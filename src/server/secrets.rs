//! The secrets of the services that are on, and the warnings about what other machines can do.

use super::TCP_SERVICES;
use super::endpoints::Endpoint;
use super::options::ServeOptions;
use crate::setup::error::StartError;
use crate::setup::password::{self, Secret};
use crate::setup::warnings::Exposure;

/// The secrets of the services that are on.
pub struct Secrets {
    /// The password of the room.
    pub room: Option<Secret>,
    /// The token that HTTP needs for changes, the operator's window and the loop view.
    pub token: Option<Secret>,
    /// Whether other machines may reach HTTP.
    pub http_exposed: bool,
}

impl Secrets {
    /// The secrets that the flags name, or generated ones.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, an unusable secret, or no random bytes.
    pub fn of(options: &ServeOptions, endpoints: &[Endpoint]) -> Result<Secrets, StartError> {
        let (flag, file) = (&options.room_password, &options.room_password_file);
        let password = password::given(flag.as_deref(), file.as_deref())?;
        let token = options.http_token_file.as_deref().map(password::token);
        let token = token.transpose()?;
        let http = of(endpoints, "http");
        // The token protects files and the operator's chats. Without them none is made: a download
        // server prints no secret, and refuses the loop view to other machines.
        let chats = ["talk", "room"].map(|name| of(endpoints, name).is_some());
        let protects = !options.read_only || chats.contains(&true);
        let http_exposed = http.is_some_and(Endpoint::is_exposed);
        let needs_token = http.is_some() && token.is_some() || http_exposed && protects;
        let room = of(endpoints, "room").map(|_| password);
        let made = |given, flag| Secret::given_or_made(given, flag);
        Ok(Secrets {
            room: room
                .map(|given| made(given, "--room-password-file"))
                .transpose()?,
            token: match needs_token {
                true => Some(made(token, "--http-token-file")?),
                false => None,
            },
            http_exposed,
        })
    }
}

fn of<'a>(endpoints: &'a [Endpoint], name: &str) -> Option<&'a Endpoint> {
    endpoints.iter().find(|endpoint| endpoint.name == name)
}

/// What other machines can do that they should not be able to do without a decision.
pub fn warnings(options: &ServeOptions, endpoints: &[Endpoint], secrets: &Secrets) -> Vec<String> {
    let exposed = |name| of(endpoints, name).filter(|endpoint: &&Endpoint| endpoint.is_exposed());
    let host = |name| exposed(name).map(|endpoint| endpoint.address.ip());
    let changes = TCP_SERVICES.iter().rev().find_map(|service| {
        let changes = service.changes.filter(|_| !options.read_only)?;
        Some((exposed(service.name)?.reached_at(), changes))
    });
    let proxied = !options.proxy_from.is_empty();
    let is_made = |secret: &Option<Secret>| secret.as_ref().is_some_and(|secret| secret.made);
    let exposure = Exposure {
        root: &options.root,
        changes,
        proxied,
        made_password: host("room").filter(|_| is_made(&secrets.room)),
        made_token: host("http").filter(|_| is_made(&secrets.token)),
    };
    exposure.warnings()
}
