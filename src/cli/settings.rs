//! The settings of `loket serve` from three layers: flags, then environment, then a TOML file.
//!
//! The names and types follow from the flags: a weaker layer adds the words of its flags to the
//! command line, unless a stronger one has the flag or one that conflicts with it.

use super::log_format::LogFormat;
use crate::wire::text::OneLine;
use clap::builder::ValueParser;
use clap::error::{ContextKind, ContextValue};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::any::TypeId;
use std::ffi::{OsStr, OsString};
use std::fmt::Write;
use std::io;
use std::path::Path;
use toml::de::{DeTable, DeValue};

/// The name of the subcommand with these settings.
const SERVE: &str = "serve";

/// The flags that are no settings.
const NO_SETTINGS: [&str; 4] = ["config", "print-config", "help", "version"];

/// The type of a setting in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Switch,
    Number,
    /// The flag is repeated this number of times.
    Count,
    Text,
    Texts,
    /// A port, or `"off"`.
    Port,
}

impl Kind {
    fn of(flag: &Arg) -> Kind {
        let parser = flag.get_value_parser().type_id();
        let is = |types: &[TypeId]| types.iter().any(|one| parser == *one);
        match flag.get_action() {
            ArgAction::Count => Kind::Count,
            ArgAction::Append => Kind::Texts,
            _ if is(&[TypeId::of::<bool>()]) => Kind::Switch,
            _ if is(&[TypeId::of::<u32>(), TypeId::of::<u64>()]) => Kind::Number,
            _ if is(&[TypeId::of::<super::PortChoice>()]) => Kind::Port,
            _ => Kind::Text,
        }
    }

    fn says(self) -> &'static str {
        match self {
            Kind::Switch => "true or false",
            Kind::Number | Kind::Count => "a whole number",
            Kind::Text => "a text in quotes",
            Kind::Texts => "a list of texts: [\"a\", \"b\"]",
            Kind::Port => "a port or \"off\"",
        }
    }
}

/// The words of a setting on the command line, with its flag.
struct Setting<'a> {
    flag: &'a Arg,
    words: Vec<OsString>,
}

/// Lets a flag undo a switch of a weaker layer: `--read-only=false`.
pub fn with_settable_switches(command: Command) -> Command {
    let settable = |flag: Arg| match flag.get_action() {
        ArgAction::SetTrue if is_setting(&flag) => flag
            .action(ArgAction::Set)
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .default_value("false")
            .value_parser(ValueParser::bool())
            .value_name("false")
            .hide_default_value(true)
            .hide_possible_values(true),
        _ => flag,
    };
    command.mut_subcommand(SERVE, |serve| serve.mut_args(settable))
}

/// Adds the settings of `environment` and of the file of `--config` to the words of a command line
/// that is correct by itself.
///
/// # Errors
///
/// The first setting that cannot be used, with the variable or the line.
pub fn with_weaker_layers(
    command: &Command,
    words: Vec<OsString>,
    environment: impl Fn(&str) -> Option<OsString>,
    read: impl Fn(&Path) -> io::Result<String>,
) -> Result<Vec<OsString>, String> {
    let matches = command.clone().try_get_matches_from(&words);
    let Some((SERVE, given)) = matches.as_ref().ok().and_then(ArgMatches::subcommand) else {
        return Ok(words);
    };
    let serve = command.find_subcommand(SERVE).expect("it was parsed");
    let config = given.get_one::<std::path::PathBuf>("config");
    let mut settings: Vec<Setting<'_>> = flags(serve)
        .filter(|flag| is_given(given, flag))
        .map(|flag| Setting {
            flag,
            words: Vec::new(),
        })
        .collect();
    let variables = variables(serve, environment)?;
    add_layer(serve, &mut settings, variables)?;
    if let Some(path) = config {
        let cannot = |why| format!("cannot use the settings in {}: {why}", path.display());
        let text = read(path).map_err(|error| cannot(error.to_string()))?;
        let lines = file_settings(serve, &text).map_err(cannot)?;
        add_layer(serve, &mut settings, lines).map_err(cannot)?;
    }
    let added = settings.into_iter().flat_map(|setting| setting.words);
    Ok(words.into_iter().chain(added).collect())
}

fn is_setting(flag: &Arg) -> bool {
    !NO_SETTINGS.contains(&flag.get_long().unwrap_or("help"))
}

fn flags(serve: &Command) -> impl Iterator<Item = &Arg> {
    serve.get_arguments().filter(|flag| is_setting(flag))
}

fn long(flag: &Arg) -> &str {
    flag.get_long().expect("a setting has a name")
}

fn is_given(matches: &ArgMatches, flag: &Arg) -> bool {
    let source = matches.value_source(flag.get_id().as_str());
    source.is_some_and(|source| source != ValueSource::DefaultValue)
}

/// `--flag=value`.
fn word(flag: &Arg, value: impl Into<OsString>) -> OsString {
    let mut word = OsString::from(format!("--{}=", long(flag)));
    word.push(value.into());
    word
}

fn conflict(serve: &Command, one: &Setting<'_>, other: &Setting<'_>) -> bool {
    let declares = |one: &Setting<'_>, other: &Setting<'_>| {
        let conflicts = serve.get_arg_conflicts_with(one.flag);
        (conflicts.iter()).any(|flag| flag.get_id() == other.flag.get_id())
    };
    declares(one, other) || declares(other, one)
}

/// Adds the settings of a layer that have no stronger ones. Each comes with its place.
fn add_layer<'a>(
    serve: &Command,
    settings: &mut Vec<Setting<'a>>,
    layer: Vec<(String, Setting<'a>)>,
) -> Result<(), String> {
    let stronger = settings.len();
    for (place, new) in layer {
        if let Some(other) = (settings[stronger..].iter()).find(|own| conflict(serve, own, &new)) {
            let (this, other) = (long(new.flag), long(other.flag));
            return Err(format!(
                "{place}: {this} conflicts with {other}; remove one"
            ));
        }
        let is_stronger = |old: &Setting<'_>| {
            old.flag.get_id() == new.flag.get_id() || conflict(serve, old, &new)
        };
        if !settings.iter().any(is_stronger) {
            settings.push(new);
        }
    }
    Ok(())
}

/// The settings of the environment.
fn variables<'a>(
    serve: &'a Command,
    environment: impl Fn(&str) -> Option<OsString>,
) -> Result<Vec<(String, Setting<'a>)>, String> {
    let mut settings = Vec::new();
    for flag in flags(serve) {
        let name = format!("LOKET_{}", long(flag).to_uppercase().replace('-', "_"));
        let Some(value) = environment(&name) else {
            continue;
        };
        let place = format!("cannot use the variable {name}");
        let words = match Kind::of(flag) {
            Kind::Count => value
                .to_str()
                .and_then(|text| repeated(flag, text.parse().ok()?)),
            _ => Some(vec![word(flag, value)]),
        };
        let words = words.ok_or_else(|| format!("{place}: it is {}", Kind::of(flag).says()))?;
        let setting = checked(serve, Setting { flag, words });
        let setting = setting.map_err(|why| format!("{place}: {why}"))?;
        settings.push((place, setting));
    }
    Ok(settings)
}

/// The words for a flag that is given this number of times.
fn repeated(flag: &Arg, count: i128) -> Option<Vec<OsString>> {
    let count = usize::from(u8::try_from(count).ok()?);
    Some(vec![format!("--{}", long(flag)).into(); count])
}

/// The format of the log that a command line asks for, or the environment, as far as it is known
/// before they are correct.
pub fn log_format(words: &[OsString], environment: impl Fn(&str) -> Option<OsString>) -> LogFormat {
    let flag = OsStr::new("--log-format");
    let behind = words.windows(2).filter(|pair| pair[0] == flag);
    let behind = behind.map(|pair| pair[1].as_os_str());
    let joined = words
        .iter()
        .filter_map(|word| word.to_str()?.strip_prefix("--log-format="));
    let given = behind
        .chain(joined.map(OsStr::new))
        .next()
        .map(OsString::from);
    match given.or_else(|| environment("LOKET_LOG_FORMAT")) {
        Some(format) if format == "json" => LogFormat::Json,
        _ => LogFormat::Text,
    }
}

/// The message of an error of the command line, without the usage.
pub fn message(error: &clap::Error) -> String {
    let text = error.to_string();
    let lines = text.lines().take_while(|line| !line.is_empty());
    let lines: Vec<&str> = lines.map(str::trim).collect();
    lines.join(" ").trim_start_matches("error: ").to_owned()
}

/// Checks the value as if its flag were the only one.
fn checked<'a>(serve: &Command, setting: Setting<'a>) -> Result<Setting<'a>, String> {
    let words = std::iter::once(OsString::from(SERVE)).chain(setting.words.iter().cloned());
    match serve.clone().try_get_matches_from(words) {
        Ok(_) => Ok(setting),
        Err(error) => {
            // No flag was given.
            let named = match error.get(ContextKind::InvalidArg) {
                Some(ContextValue::String(flag)) => format!("'{flag}'"),
                _ => return Err(message(&error)),
            };
            Err(message(&error).replace(&named, long(setting.flag)))
        }
    }
}

/// The settings of the file in the order of their lines, which begin with 1.
fn file_settings<'a>(serve: &'a Command, text: &str) -> Result<Vec<(String, Setting<'a>)>, String> {
    let line = |at: usize| text[..at].matches('\n').count() + 1;
    let table = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        format!("line {}: {}", line(at), OneLine(error.message()))
    })?;
    let mut settings = Vec::new();
    for (key, value) in table.get_ref() {
        let line = line(key.span().start);
        let at = |why: String| format!("line {line}: {why}");
        let name = key.get_ref();
        let Some(flag) = flags(serve).find(|flag| long(flag) == name) else {
            let why = "there is no such setting; `loket serve --print-config` lists all";
            return Err(at(format!("{name:?}: {why}")));
        };
        let kind = Kind::of(flag);
        let words = words_of(flag, kind, value.get_ref());
        let words = words.ok_or_else(|| at(format!("{name} is {}", kind.says())))?;
        settings.push((line, checked(serve, Setting { flag, words }).map_err(at)?));
    }
    settings.sort_by_key(|(line, _)| *line);
    let named = |(line, setting)| (format!("line {line}"), setting);
    Ok(settings.into_iter().map(named).collect())
}

/// The words of a value; `None` if it has another type.
fn words_of(flag: &Arg, kind: Kind, value: &DeValue<'_>) -> Option<Vec<OsString>> {
    let one = |text: String| vec![word(flag, text)];
    match (kind, value) {
        (Kind::Switch, DeValue::Boolean(value)) => Some(one(value.to_string())),
        (Kind::Number | Kind::Port, DeValue::Integer(_)) => Some(one(integer(value)?.to_string())),
        (Kind::Count, DeValue::Integer(_)) => repeated(flag, integer(value)?),
        (Kind::Text | Kind::Port, DeValue::String(text)) => Some(one(text.to_string())),
        (Kind::Texts, DeValue::Array(values)) => {
            let texts = values.iter().map(|value| value.get_ref().as_str());
            texts.map(|text| Some(word(flag, text?))).collect()
        }
        _ => None,
    }
}

fn integer(value: &DeValue<'_>) -> Option<i128> {
    let integer = value.as_integer()?;
    i128::from_str_radix(integer.as_str(), integer.radix()).ok()
}

/// The settings in effect as a file for `--config`: each with its help, and defaults as comments.
///
/// # Errors
///
/// A value is not UTF-8 text.
pub fn print(command: &Command, matches: &ArgMatches) -> Result<String, String> {
    let serve = command.find_subcommand(SERVE).expect("it was parsed");
    let mut file = String::from(
        "# Settings of `loket serve --config FILE`. Flags override the environment (LOKET_NAME),\n\
         # which overrides this file. A line that begins with `#name` shows a default.\n",
    );
    let visible = flags(serve).filter(|flag| !flag.is_hide_set());
    for flag in visible {
        let help = flag.get_long_help().or(flag.get_help());
        let help = help.map(ToString::to_string).unwrap_or_default();
        let _ = writeln!(file, "\n# {}", help.replace('\n', "\n# "));
        let (name, kind) = (long(flag), Kind::of(flag));
        let id = flag.get_id().as_str();
        let raw = matches.get_raw(id).into_iter().flatten();
        let texts: Vec<&str> = raw
            .map(|value| value.to_str())
            .collect::<Option<_>>()
            .ok_or_else(|| format!("--{name} is not UTF-8 text, which TOML needs"))?;
        let value = match (kind, texts.first()) {
            (Kind::Count, _) => matches.get_count(id).to_string(),
            (Kind::Texts, _) => {
                let texts: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
                format!("[{}]", texts.join(", "))
            }
            (_, None) => String::new(),
            (Kind::Text, Some(text)) => quoted(text),
            (Kind::Port, Some(text)) if text.parse::<u16>().is_err() => quoted(text),
            (_, Some(text)) => (*text).to_owned(),
        };
        // A login in the addresses of the link is no part of the text.
        let (value, mark) = match is_given(matches, flag) {
            true if name == "link" && value.contains('@') => {
                let kept = "\"...\"  # not shown: it has a login, for the file of link-file";
                (kept.to_owned(), "#")
            }
            true => (value, ""),
            false => (value, "#"),
        };
        let _ = writeln!(file, "{}", format!("{mark}{name} = {value}").trim_end());
    }
    Ok(file)
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            _ if crate::wire::text::is_hidden(character) => {
                let _ = write!(quoted, "\\U{:08X}", u32::from(character));
            }
            _ => quoted.push(character),
        }
    }
    quoted + "\""
}
