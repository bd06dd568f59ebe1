//! The list of a folder: names, JSON, or a page that works without scripts.

use super::answer::Answer;
use crate::store::{ListEntry, ListStyle};
use crate::wire::http::{date, path};
use crate::wire::json::JsonText;
use crate::wire::text::is_hidden;
use std::fmt::{self, Display, Write};

/// What a page of the server may do in a browser: load scripts and styles of this server only.
pub const PAGE_FIELDS: &str = "Content-Security-Policy: default-src 'none'; script-src 'self'; \
    style-src 'self'; connect-src 'self'; img-src 'self'; frame-ancestors 'none'; \
    base-uri 'none'; form-action 'none'\r\n";

/// The form of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListForm {
    /// One name a line, as the files service prints them.
    Names,
    /// `{"path":"/a/","entries":[{"name":"b","dir":false,"size":5,"mtime":1700000000}]}`.
    Json,
    /// A page with a table.
    Html,
}

impl ListForm {
    /// How the store writes the entries.
    pub fn style(self) -> ListStyle {
        match self {
            ListForm::Names => ListStyle::Names,
            ListForm::Json => ListStyle::Details {
                name: "json",
                write: write_json,
            },
            ListForm::Html => ListStyle::Details {
                name: "html",
                write: write_html,
            },
        }
    }

    /// The text before the entries of the folder `name`, which is empty for the root.
    pub fn begin(self, name: &str) -> String {
        let slash = if name.is_empty() { "" } else { "/" };
        let path = format!("/{name}{slash}");
        match self {
            ListForm::Names => String::new(),
            ListForm::Json => format!("{{\"path\":\"{}\",\"entries\":[", JsonText(&path)),
            ListForm::Html => {
                let up = match name {
                    "" => "",
                    _ => "<tr><td><a href=\"../\">../</a><td><td>\n",
                };
                let path = Html(&path);
                format!(
                    "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
                     <meta name=\"viewport\" content=\"width=device-width\">\n\
                     <title>{path}</title>\n<h1>{path}</h1>\n<table>\n\
                     <tr><th>Name<th>Bytes<th>Changed\n{up}"
                )
            }
        }
    }

    /// The text after the entries.
    pub fn end(self) -> &'static str {
        match self {
            ListForm::Names => "",
            ListForm::Json => "]}\n",
            ListForm::Html => "</table>\n",
        }
    }

    /// Writes the fields of the answer.
    pub fn write_fields(self, answer: &mut Answer<'_>) {
        answer.lines("Vary: Accept, User-Agent\r\nCache-Control: no-cache\r\n");
        if self == ListForm::Html {
            answer.lines(PAGE_FIELDS);
        }
    }

    /// The media type.
    pub fn media_type(self) -> &'static str {
        match self {
            ListForm::Names => "text/plain; charset=utf-8",
            ListForm::Json => "application/json",
            ListForm::Html => "text/html; charset=utf-8",
        }
    }
}

fn write_json(entry: &ListEntry<'_>, list: &mut Vec<u8>) {
    let (name, is_folder) = split(entry);
    let comma = if entry.is_first { "" } else { "," };
    let size = if is_folder { 0 } else { entry.version.length };
    let text = format!(
        "{comma}\n{{\"name\":\"{}\",\"dir\":{is_folder},\"size\":{size},\"mtime\":{}}}",
        JsonText(name),
        seconds(entry)
    );
    list.extend_from_slice(text.as_bytes());
}

fn write_html(entry: &ListEntry<'_>, list: &mut Vec<u8>) {
    let (_, is_folder) = split(entry);
    let size = match is_folder {
        true => String::new(),
        false => entry.version.length.to_string(),
    };
    let text = format!(
        "<tr><td><a href=\"{}\">{}</a><td>{size}<td>{}\n",
        path::encode(entry.name),
        Html(entry.name),
        date::format(u64::try_from(seconds(entry)).unwrap_or(0))
    );
    list.extend_from_slice(text.as_bytes());
}

/// The name without its slash, and whether it is that of a folder.
fn split<'a>(entry: &ListEntry<'a>) -> (&'a str, bool) {
    match entry.name.strip_suffix('/') {
        Some(name) => (name, true),
        None => (entry.name, false),
    }
}

fn seconds(entry: &ListEntry<'_>) -> i64 {
    entry.version.modified.div_euclid(1_000_000_000)
}

/// Text for people in HTML, also in a quoted attribute. A hidden character becomes an escape: a
/// mark of direction would make `exe.txt` of a program.
struct Html<'a>(&'a str);

impl Display for Html<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => out.write_str("&amp;")?,
                '<' => out.write_str("&lt;")?,
                '>' => out.write_str("&gt;")?,
                '"' => out.write_str("&quot;")?,
                '\'' => out.write_str("&#39;")?,
                other if is_hidden(other) => write!(out, "{}", other.escape_unicode())?,
                other => out.write_char(other)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::FileVersion;

    fn written(form: ListForm, names: &[&str]) -> String {
        let ListStyle::Details { write, .. } = form.style() else {
            panic!("a list of names")
        };
        let mut list = form.begin("a \"b").into_bytes();
        for (at, name) in names.iter().enumerate() {
            let version = FileVersion {
                inode: 1,
                length: 5,
                modified: 784_111_777_999_999_999,
            };
            let is_first = at == 0;
            write(
                &ListEntry {
                    name,
                    version,
                    is_first,
                },
                &mut list,
            );
        }
        String::from_utf8(list).expect("text") + form.end()
    }

    #[test]
    fn names_cannot_end_the_text_that_they_are_in() {
        let json = written(ListForm::Json, &["\\\"x", "d/"]);
        let wanted = "{\"path\":\"/a \\\"b/\",\"entries\":[\n\
            {\"name\":\"\\\\\\\"x\",\"dir\":false,\"size\":5,\"mtime\":784111777},\n\
            {\"name\":\"d\",\"dir\":true,\"size\":0,\"mtime\":784111777}]}\n";
        assert_eq!(json, wanted);
        let html = written(ListForm::Html, &["<a&\"'>", "d:é/"]);
        assert!(html.contains("<title>/a &quot;b/</title>"), "{html}");
        let row = "<tr><td><a href=\"%3Ca%26%22%27%3E\">&lt;a&amp;&quot;&#39;&gt;</a><td>5<td>\
            Sun, 06 Nov 1994 08:49:37 GMT\n";
        assert!(html.contains(row), "{html}");
        assert!(
            html.contains("<a href=\"d%3A%C3%A9/\">d:é/</a><td><td>Sun"),
            "{html}"
        );
    }

    #[test]
    fn people_see_hidden_characters_and_programs_get_them() {
        let name = "a\u{202e}txt.exe";
        let html = written(ListForm::Html, &[name]);
        let link = "<a href=\"a%E2%80%AEtxt.exe\">a\\u{202e}txt.exe</a>";
        assert!(html.contains(link), "{html}");
        let json = written(ListForm::Json, &[name]);
        assert!(json.contains("\"a\\u202etxt.exe\""), "{json}");
    }
}
