//! The page and its parts, which are in the program itself.

/// A file below `/-/app/`.
pub struct Asset {
    /// The name below `/-/app/`.
    pub name: &'static str,
    /// The media type.
    pub media_type: &'static str,
    /// The content.
    pub bytes: &'static [u8],
    /// Tells one version from another.
    version: u64,
}

const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const IMAGE: &str = "image/svg+xml";

/// The page itself, which also answers for every folder.
pub static PAGE: Asset = asset(
    "index.html",
    "text/html; charset=utf-8",
    include_bytes!("../../web/index.html"),
);

/// All other parts. To add one, add a row.
pub static ASSETS: &[Asset] = &[
    asset("app.js", SCRIPT, include_bytes!("../../web/app.js")),
    asset("chat.js", SCRIPT, include_bytes!("../../web/chat.js")),
    asset("events.js", SCRIPT, include_bytes!("../../web/events.js")),
    asset("files.js", SCRIPT, include_bytes!("../../web/files.js")),
    asset("format.js", SCRIPT, include_bytes!("../../web/format.js")),
    asset("icon.svg", IMAGE, include_bytes!("../../web/icon.svg")),
    asset("loop.css", STYLE, include_bytes!("../../web/loop.css")),
    asset("loop.js", SCRIPT, include_bytes!("../../web/loop.js")),
    asset("replay.js", SCRIPT, include_bytes!("../../web/replay.js")),
    asset("request.js", SCRIPT, include_bytes!("../../web/request.js")),
    asset("room.js", SCRIPT, include_bytes!("../../web/room.js")),
    asset("say.js", SCRIPT, include_bytes!("../../web/say.js")),
    asset("slab.js", SCRIPT, include_bytes!("../../web/slab.js")),
    asset("style.css", STYLE, include_bytes!("../../web/style.css")),
    asset("talk.js", SCRIPT, include_bytes!("../../web/talk.js")),
    asset("uploads.js", SCRIPT, include_bytes!("../../web/uploads.js")),
];

/// The asset with this name below `/-/`.
pub fn find(name: &str) -> Option<&'static Asset> {
    match name.strip_prefix("app")? {
        "" | "/" => Some(&PAGE),
        name => {
            let name = name.strip_prefix('/')?;
            ASSETS.iter().find(|asset| asset.name == name)
        }
    }
}

impl Asset {
    /// The entity tag.
    pub fn etag(&self) -> String {
        format!("\"{:016x}\"", self.version)
    }

    /// Whether it is the page.
    pub fn is_page(&self) -> bool {
        self.name == PAGE.name
    }
}

const fn asset(name: &'static str, media_type: &'static str, bytes: &'static [u8]) -> Asset {
    Asset {
        name,
        media_type,
        bytes,
        version: fnv1a(bytes),
    }
}

/// The hash FNV-1a: equal for equal contents, and computed by the compiler.
const fn fnv1a(bytes: &[u8]) -> u64 {
    let (mut hash, mut at) = (0xcbf2_9ce4_8422_2325, 0);
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(0x0000_0100_0000_01b3);
        at += 1;
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_that_of_the_reference() {
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }
}
