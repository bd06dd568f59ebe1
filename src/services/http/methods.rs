//! The names of the methods, and which resource has which.

use crate::wire::http::head::Method;
use crate::wire::http::path::Resource;

/// Where POST requests for a tab go, behind `/-/`.
pub const ENDPOINTS: [&str; 4] = ["talk", "room", "operator", "events"];

/// The name of a method, for counters and the log.
pub fn method_name(method: Method) -> &'static str {
    match method {
        Method::Get => "GET",
        Method::Head => "HEAD",
        Method::Put => "PUT",
        Method::Delete => "DELETE",
        Method::Mkcol => "MKCOL",
        Method::Move => "MOVE",
        Method::Options => "OPTIONS",
        Method::Post => "POST",
        Method::Patch => "PATCH",
        Method::Trace => "TRACE",
        Method::Unknown => "-",
    }
}

/// The methods that a resource has, for the field Allow.
pub fn allowed(resource: &Resource) -> &'static str {
    match resource {
        Resource::File(_) | Resource::Server => "GET, HEAD, PUT, DELETE, MKCOL, MOVE, OPTIONS",
        Resource::Reserved(name) if name == "events" => "GET, POST, OPTIONS",
        Resource::Reserved(name) if is_endpoint(name) => "POST, OPTIONS",
        Resource::Folder(_) => "GET, HEAD, MKCOL, MOVE, OPTIONS",
        Resource::Reserved(_) => "GET, HEAD, OPTIONS",
    }
}

/// Whether POST requests go to this name behind `/-/`.
pub fn is_endpoint(name: &str) -> bool {
    ENDPOINTS.contains(&name)
}

/// Whether the resource belongs to the window, so that it is no page.
pub fn is_of_window(resource: &Resource) -> bool {
    matches!(resource, Resource::Reserved(name) if is_endpoint(name))
}
