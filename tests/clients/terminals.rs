//! Line editing at a terminal, in each of the three programs that have it: the operator of
//! `loket serve`, `loket talk` and `loket room`.

use crate::fake_terminal::{DEADLINE, LOKET, Terminal};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

/// A program with a line editor, and its peer.
struct Program {
    prompt: &'static str,
    /// The text before a line of the peer on the screen.
    prefix: &'static str,
    /// The exit status of the shell command after SIGTERM.
    sigterm_status: i32,
    start: fn(&Terminal) -> (SendLine, Receiver<String>),
}

/// Sends a line from the peer to the program.
type SendLine = Box<dyn FnMut(&str)>;

const OPERATOR: Program = Program {
    prompt: "> ",
    prefix: "Client 1: ",
    sigterm_status: 0,
    start: |terminal| {
        let stream = TcpStream::connect(terminal.serve("")).expect("a connection");
        terminal.find("Client 1 connected");
        lines_of(stream)
    },
};

const TALK: Program = Program {
    prompt: "talk> ",
    prefix: "",
    sigterm_status: 143,
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
    sigterm_status: 143,
    start: |terminal| {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        socket.set_read_timeout(Some(DEADLINE)).expect("an option");
        let address = socket.local_addr().expect("bound");
        let login = "--name ani --password pw";
        terminal.enter(&format!("clear; {LOKET} room {login} --at {address}"));
        let (sender, received) = mpsc::channel();
        let (joined, client) = mpsc::channel();
        let room = socket.try_clone().expect("a descriptor");
        thread::spawn(move || {
            let mut datagram = [0; 1024];
            while let Ok((length, from)) = room.recv_from(&mut datagram) {
                let text = String::from_utf8_lossy(&datagram[..length]).into_owned();
                let answer = match text.split_once(' ').map_or("", |(word, _)| word) {
                    "PASSWORD" => "PASSWORD OK",
                    "USERNAME" => "USERNAME OK",
                    _ => text.as_str(),
                };
                let _ = room.send_to(answer.as_bytes(), from);
                let _ = joined.send(from);
                if let Some(line) = text.strip_prefix("ani: ") {
                    let _ = sender.send(line.to_owned());
                }
            }
        });
        let client = client.recv_timeout(DEADLINE).expect("the client");
        let send_line = move |line: &str| {
            let message = format!("budi: {line}");
            socket.send_to(message.as_bytes(), client).expect("sent");
        };
        (Box::new(send_line), received)
    },
};

fn lines_of(stream: TcpStream) -> (SendLine, Receiver<String>) {
    let (sender, received): (Sender<String>, _) = mpsc::channel();
    let mut writer = stream.try_clone().expect("a descriptor");
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    (
        Box::new(move |line| writeln!(writer, "{line}").expect("taken")),
        received,
    )
}

/// A program that runs in the shell of a terminal, at its prompt.
struct Session {
    terminal: Terminal,
    send_line: SendLine,
    received: Receiver<String>,
    program: &'static Program,
}

impl Session {
    fn start(program: &'static Program, test: &str) -> Option<Session> {
        let terminal = Terminal::shell(test)?;
        let (send_line, received) = (program.start)(&terminal);
        let session = Session {
            terminal,
            send_line,
            received,
            program,
        };
        session.expect_line("");
        Some(session)
    }

    /// Expects that the last row of the screen is the prompt and this line.
    #[track_caller]
    fn expect_line(&self, line: &str) -> Vec<String> {
        let row = format!("{}{line}", self.program.prompt);
        self.terminal.expect_end(&[row.trim_end()])
    }

    /// Expects that the peer receives this line next.
    #[track_caller]
    fn expect_received(&self, line: &str) {
        assert_eq!(self.received.recv_timeout(DEADLINE).as_deref(), Ok(line));
    }

    fn press(&self, keys: &[&str]) {
        self.terminal.tmux(&[&["send-keys", "--"], keys].concat());
    }

    /// Expects that the program has exited with this status and restored the terminal modes.
    #[track_caller]
    fn expect_exit(&self, status: i32) {
        self.terminal.expect_end(&["$"]);
        let modes = "stty -a | tr ' ' '\\n' | grep -cxE 'icanon|echo|isig|ixon'";
        self.terminal.enter(&format!("echo status $?; {modes}"));
        self.terminal
            .expect_end(&[&format!("status {status}"), "4", "$"]);
    }
}

/// Keys, and the line that results.
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
    // Characters of two columns.
    (&["日x本語", "Left", "Left", "BSpace"], "日本語"),
    (&["a😀b😀", "Left", "Left", "BSpace", "End", "c"], "ab😀c"),
    // A combining mark has no column, and is deleted with its letter.
    (&["cafe\u{301}s", "Left", "BSpace", "e"], "cafes"),
    (&["cafe\u{301}s", "Left", "Left", "x"], "cafxe\u{301}s"),
    // Keys without a function.
    (&["hel", "F5", "PPage", "M-z", "lo"], "hello"),
];

fn keys_edit_the_line(program: &'static Program, test: &str) {
    let Some(session) = Session::start(program, test) else {
        return;
    };
    for (keys, line) in EDITS {
        session.press(keys);
        let rows = session.expect_line(line);
        session.press(&["Enter"]);
        session.expect_received(line);
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
        session.expect_received(line);
    }
    session.press(&["draft", "Up", "Up"]);
    session.expect_line("second");
    session.press(&["Up", "Up", "Up"]);
    session.expect_line("first");
    session.press(&["C-n"]);
    session.expect_line("second");
    session.press(&["Down", "Down"]);
    session.expect_line("draft");
    session.press(&["C-p", "!", "Enter"]);
    session.expect_received("third!");
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
        session.expect_received(line);
    }
    let rows = session.expect_line("and half");
    let typed = lines.iter().map(|line| format!("{}{line}", program.prompt));
    assert!(typed.clone().all(|row| rows.contains(&row)), "{rows:#?}");
    session.press(&[" a line", "Enter"]);
    session.expect_received("and half a line");
}

fn messages_that_arrive_do_not_tear_the_typed_line(program: &'static Program, test: &str) {
    let Some(mut session) = Session::start(program, test) else {
        return;
    };
    let line = "typed while 日本 others talk";
    for (number, letter) in line.chars().enumerate() {
        session.terminal.keys(&letter.to_string());
        (session.send_line)(&format!("message {number}"));
    }
    let last = format!("{}message {}", program.prefix, line.chars().count() - 1);
    session
        .terminal
        .wait_until("all", |rows| rows.contains(&last));
    let rows = session.expect_line(line);
    let messages: Vec<&String> = rows.iter().filter(|row| row.contains("message")).collect();
    let wanted = (0..line.chars().count()).map(|n| format!("{}message {n}", program.prefix));
    assert!(
        messages.into_iter().eq(&wanted.collect::<Vec<_>>()),
        "{rows:#?}"
    );
    session.press(&["Enter"]);
    session.expect_received(line);
}

fn a_narrow_terminal_shows_the_part_around_the_cursor(program: &'static Program, test: &str) {
    let Some(session) = Session::start(program, test) else {
        return;
    };
    let line = "日本 56789".repeat(6);
    session.terminal.keys(&line);
    session.expect_line(&line);
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
    session.press(&["C-l"]);
    session
        .terminal
        .wait_until("the line alone", |rows| rows == [format!("{prompt}{line}")]);
    session.press(&["Enter"]);
    session.expect_received(&line);
}

fn the_typed_line_is_drawn_again_after_ctrl_z_and_fg(program: &'static Program, test: &str) {
    let Some(mut session) = Session::start(program, test) else {
        return;
    };
    session.terminal.keys("half a li");
    session.expect_line("half a li");
    session.press(&["C-z"]);
    session.terminal.find("Stopped");
    session.terminal.expect_end(&["$"]);
    (session.send_line)("meanwhile");
    session
        .terminal
        .enter("clear; stty -a | tr ' ' '\\n' | grep -cxE 'icanon|echo'");
    session.terminal.expect_end(&["2", "$"]);
    session.terminal.enter("fg");
    session
        .terminal
        .find(&format!("{}meanwhile", program.prefix));
    session.expect_line("half a li");
    session.press(&["BSpace", "BSpace", "line", "Enter"]);
    session.expect_received("half a line");
}

fn ctrl_c_and_a_signal_restore_the_terminal(program: &'static Program, test: &str) {
    let Some(session) = Session::start(program, test) else {
        return;
    };
    session.terminal.keys("unfinished");
    session.expect_line("unfinished");
    session.press(&["C-c"]);
    session.expect_exit(0);
    let Some(session) = Session::start(program, test) else {
        return;
    };
    session.terminal.keys("unfinished");
    session.expect_line("unfinished");
    let shell = session
        .terminal
        .tmux(&["display-message", "-p", "#{pane_pid}"]);
    let shell = shell.trim();
    let children = format!("/proc/{shell}/task/{shell}/children");
    let children = std::fs::read_to_string(children).expect("a live shell");
    let child = children.trim().parse().ok().and_then(Pid::from_raw);
    kill_process(child.expect("one child"), Signal::TERM).expect("a live child");
    session.expect_exit(program.sigterm_status);
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
