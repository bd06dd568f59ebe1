//! What a person does at a terminal, done to each of the three programs that edit a line there: the
//! operator's, `loket talk` and `loket room`.

mod fake_terminal;

use fake_terminal::{DEADLINE, LOKET, Terminal};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

/// A program and the one at its other end.
struct Program {
    prompt: &'static str,
    /// What stands before the other end's words on the screen.
    prefix: &'static str,
    /// The status after SIGTERM.
    killed: i32,
    start: fn(&Terminal) -> (Say, Receiver<String>),
}

/// Says a line at the other end.
type Say = Box<dyn FnMut(&str)>;

const OPERATOR: Program = Program {
    prompt: "> ",
    prefix: "Client 1: ",
    killed: 0,
    start: |terminal| {
        let stream = TcpStream::connect(terminal.serve("")).expect("a connection");
        terminal.find("Client 1 has come");
        lines_of(stream)
    },
};

const TALK: Program = Program {
    prompt: "talk> ",
    prefix: "",
    killed: 143,
    start: |terminal| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        terminal.enter(&format!("clear; {LOKET} talk --at {address}"));
        lines_of(listener.accept().expect("the client").0)
    },
};

const ROOM: Program = Program {
    prompt: "ani: ",
    prefix: "budi: ",
    killed: 143,
    start: |terminal| {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        socket.set_read_timeout(Some(DEADLINE)).expect("an option");
        let address = socket.local_addr().expect("bound");
        let login = "--name ani --password pw";
        terminal.enter(&format!("clear; {LOKET} room {login} --at {address}"));
        let (sender, heard) = mpsc::channel();
        let (joined, client) = mpsc::channel();
        let room = socket.try_clone().expect("a descriptor");
        thread::spawn(move || {
            let mut datagram = [0; 1024];
            while let Ok((length, from)) = room.recv_from(&mut datagram) {
                let said = String::from_utf8_lossy(&datagram[..length]).into_owned();
                let answer = match said.split_once(' ').map_or("", |(word, _)| word) {
                    "PASSWORD" => "PASSWORD OK",
                    "USERNAME" => "USERNAME OK",
                    _ => said.as_str(),
                };
                let _ = room.send_to(answer.as_bytes(), from);
                let _ = joined.send(from);
                if let Some(line) = said.strip_prefix("ani: ") {
                    let _ = sender.send(line.to_owned());
                }
            }
        });
        let client = client.recv_timeout(DEADLINE).expect("the client");
        let say = move |line: &str| {
            let message = format!("budi: {line}");
            socket.send_to(message.as_bytes(), client).expect("sent");
        };
        (Box::new(say), heard)
    },
};

fn lines_of(stream: TcpStream) -> (Say, Receiver<String>) {
    let (sender, heard): (Sender<String>, _) = mpsc::channel();
    let mut writer = stream.try_clone().expect("a descriptor");
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    (
        Box::new(move |line| writeln!(writer, "{line}").expect("taken")),
        heard,
    )
}

/// A program that runs in the shell of a terminal and waits for a line.
struct Session {
    terminal: Terminal,
    say: Say,
    heard: Receiver<String>,
    program: &'static Program,
}

impl Session {
    fn start(program: &'static Program, test: &str) -> Option<Session> {
        let terminal = Terminal::shell(test)?;
        let (say, heard) = (program.start)(&terminal);
        let session = Session {
            terminal,
            say,
            heard,
            program,
        };
        session.shows_line("");
        Some(session)
    }

    /// The last row of the screen is the line that is being typed.
    #[track_caller]
    fn shows_line(&self, line: &str) -> Vec<String> {
        let row = format!("{}{line}", self.program.prompt);
        self.terminal.expect_end(&[row.trim_end()])
    }

    /// The other end hears this line next.
    #[track_caller]
    fn is_heard(&self, line: &str) {
        assert_eq!(self.heard.recv_timeout(DEADLINE).as_deref(), Ok(line));
    }

    fn presses(&self, keys: &[&str]) {
        self.terminal.tmux(&[&["send-keys", "--"], keys].concat());
    }

    /// The shell runs again, and its terminal is as it was.
    #[track_caller]
    fn has_left(&self, status: i32) {
        self.terminal.expect_end(&["$"]);
        let modes = "stty -a | tr ' ' '\\n' | grep -cxE 'icanon|echo|isig|ixon'";
        self.terminal.enter(&format!("echo status $?; {modes}"));
        self.terminal
            .expect_end(&[&format!("status {status}"), "4", "$"]);
    }
}

/// Keys, and the line that they make.
const EDITS: &[(&[&str], &str)] = &[
    (&["helo", "Left", "l"], "hello"),
    (&["hllo", "Home", "Right", "e", "End", "!"], "hello!"),
    (&["ello", "C-a", "h", "C-e", "!"], "hello!"),
    (
        &["helo", "C-b", "l", "C-a", "C-f", "C-f", "C-h", "e"],
        "hello",
    ),
    (&["hexllo", "Left", "Left", "Left", "BSpace"], "hello"),
    (&["xhello", "Home", "DC"], "hello"),
    (&["hxello", "Home", "Right", "C-d"], "hello"),
    (&["hello world", "C-a", "M-f", "C-k"], "hello"),
    (&["goodbye", "C-u", "hello"], "hello"),
    (&["say goodbye", "C-w", "hello"], "say hello"),
    (&["bc", "C-u", "a", "C-y"], "abc"),
    (&["one three", "M-b", "two "], "one two three"),
    (
        &["one three", "C-Left", "two ", "C-Right", "!"],
        "one two three!",
    ),
    // Each takes two columns.
    (&["日x本語", "Left", "Left", "BSpace"], "日本語"),
    (&["a😀b😀", "Left", "Left", "BSpace", "End", "c"], "ab😀c"),
    // A mark takes none, and goes with its letter.
    (&["cafe\u{301}s", "Left", "BSpace", "e"], "cafes"),
    (&["cafe\u{301}s", "Left", "Left", "x"], "cafxe\u{301}s"),
    // Keys without a meaning.
    (&["hel", "F5", "PPage", "M-z", "lo"], "hello"),
];

fn keys_edit_the_line(program: &'static Program, test: &str) {
    let Some(session) = Session::start(program, test) else {
        return;
    };
    for (keys, line) in EDITS {
        session.presses(keys);
        let rows = session.shows_line(line);
        session.presses(&["Enter"]);
        session.is_heard(line);
        session
            .terminal
            .wait_until("a new line", |now| now.len() == rows.len() + 1);
    }
}

fn the_arrow_keys_recall_lines_from_the_history(program: &'static Program, test: &str) {
    let Some(session) = Session::start(program, test) else {
        return;
    };
    for line in ["first", "second", "third"] {
        session.terminal.enter(line);
        session.is_heard(line);
    }
    session.presses(&["draft", "Up", "Up"]);
    session.shows_line("second");
    session.presses(&["Up", "Up", "Up"]);
    session.shows_line("first");
    session.presses(&["C-n"]);
    session.shows_line("second");
    session.presses(&["Down", "Down"]);
    session.shows_line("draft");
    session.presses(&["C-p", "!", "Enter"]);
    session.is_heard("third!");
}

fn a_paste_of_several_lines_sends_each_one(program: &'static Program, test: &str) {
    let Some(session) = Session::start(program, test) else {
        return;
    };
    let lines: Vec<String> = (0..20)
        .map(|number| format!("日本 line {number}"))
        .collect();
    let path = session.terminal.folder().join("pasted");
    std::fs::write(&path, lines.join("\n") + "\nand half").expect("room");
    session
        .terminal
        .tmux(&["load-buffer", path.to_str().expect("text")]);
    session.terminal.tmux(&["paste-buffer"]);
    for line in &lines {
        session.is_heard(line);
    }
    let rows = session.shows_line("and half");
    let typed = lines.iter().map(|line| format!("{}{line}", program.prompt));
    assert!(typed.clone().all(|row| rows.contains(&row)), "{rows:#?}");
    session.presses(&[" a line", "Enter"]);
    session.is_heard("and half a line");
}

fn messages_that_arrive_do_not_tear_the_typed_line(program: &'static Program, test: &str) {
    let Some(mut session) = Session::start(program, test) else {
        return;
    };
    let line = "typed while 日本 others talk";
    for (number, letter) in line.chars().enumerate() {
        session.terminal.keys(&letter.to_string());
        (session.say)(&format!("message {number}"));
    }
    let last = format!("{}message {}", program.prefix, line.chars().count() - 1);
    session
        .terminal
        .wait_until("all", |rows| rows.contains(&last));
    let rows = session.shows_line(line);
    let messages: Vec<&String> = rows.iter().filter(|row| row.contains("message")).collect();
    let wanted = (0..line.chars().count()).map(|n| format!("{}message {n}", program.prefix));
    assert!(
        messages.into_iter().eq(&wanted.collect::<Vec<_>>()),
        "{rows:#?}"
    );
    session.presses(&["Enter"]);
    session.is_heard(line);
}

fn a_narrow_terminal_shows_the_part_around_the_cursor(program: &'static Program, test: &str) {
    let Some(session) = Session::start(program, test) else {
        return;
    };
    let line = "日本 56789".repeat(6);
    session.terminal.keys(&line);
    session.shows_line(&line);
    let resize = |columns: &str| {
        session
            .terminal
            .tmux(&["resize-window", "-x", columns, "-y", "60"]);
    };
    let prompt = program.prompt;
    resize("40");
    session.terminal.wait_until("a short row", |rows| {
        rows.last()
            .is_some_and(|row| row.starts_with(prompt) && row.chars().count() < 39)
    });
    resize("4");
    session.terminal.wait_until("the end", |rows| {
        let last = rows.last().map_or("", String::as_str);
        last.ends_with('9') && last.len() < 4
    });
    resize("100");
    session.presses(&["C-l"]);
    session
        .terminal
        .wait_until("the line alone", |rows| rows == [format!("{prompt}{line}")]);
    session.presses(&["Enter"]);
    session.is_heard(&line);
}

fn the_typed_line_is_drawn_again_after_ctrl_z_and_fg(program: &'static Program, test: &str) {
    let Some(mut session) = Session::start(program, test) else {
        return;
    };
    session.terminal.keys("half a li");
    session.shows_line("half a li");
    session.presses(&["C-z"]);
    session.terminal.find("Stopped");
    session.terminal.expect_end(&["$"]);
    (session.say)("meanwhile");
    session
        .terminal
        .enter("clear; stty -a | tr ' ' '\\n' | grep -cxE 'icanon|echo'");
    session.terminal.expect_end(&["2", "$"]);
    session.terminal.enter("fg");
    session
        .terminal
        .find(&format!("{}meanwhile", program.prefix));
    session.shows_line("half a li");
    session.presses(&["BSpace", "BSpace", "line", "Enter"]);
    session.is_heard("half a line");
}

fn ctrl_c_and_a_signal_restore_the_terminal(program: &'static Program, test: &str) {
    let Some(session) = Session::start(program, test) else {
        return;
    };
    session.terminal.keys("unfinished");
    session.shows_line("unfinished");
    session.presses(&["C-c"]);
    session.has_left(0);
    let Some(session) = Session::start(program, test) else {
        return;
    };
    session.terminal.keys("unfinished");
    session.shows_line("unfinished");
    let shell = session
        .terminal
        .tmux(&["display-message", "-p", "#{pane_pid}"]);
    let shell = shell.trim();
    let children = format!("/proc/{shell}/task/{shell}/children");
    let children = std::fs::read_to_string(children).expect("a live shell");
    let child = children.trim().parse().ok().and_then(Pid::from_raw);
    kill_process(child.expect("one child"), Signal::TERM).expect("a live child");
    session.has_left(program.killed);
}

macro_rules! each_program {
    ($name:ident is $program:ident: $($action:ident)*) => {
        mod $name {
            $(
                #[test]
                fn $action() {
                    super::$action(&super::$program, stringify!($action));
                }
            )*
        }
    };
    ($($action:ident)*) => {
        each_program!(operator is OPERATOR: $($action)*);
        each_program!(talk is TALK: $($action)*);
        each_program!(room is ROOM: $($action)*);
    };
}

each_program! {
    keys_edit_the_line
    the_arrow_keys_recall_lines_from_the_history
    a_paste_of_several_lines_sends_each_one
    messages_that_arrive_do_not_tear_the_typed_line
    a_narrow_terminal_shows_the_part_around_the_cursor
    the_typed_line_is_drawn_again_after_ctrl_z_and_fg
    ctrl_c_and_a_signal_restore_the_terminal
}
