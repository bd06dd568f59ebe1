//! An echo on tokio: the current-thread runtime, one task and one buffer per connection.
//! It is the usual tokio program, without limits, deadlines or a budget of its own.

use crate::measure::announce;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const BUFFER: usize = 16 * 1024;

/// Serves until a signal ends the process.
pub fn run(port: &str) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .map_err(|e| format!("cannot start tokio: {e}"))?;
    runtime.block_on(async {
        let listener = TcpListener::bind(format!("127.0.0.1:{port}"))
            .await
            .map_err(|e| format!("cannot listen on port {port}: {e}"))?;
        let address = listener.local_addr();
        let address = address.map_err(|e| format!("cannot read the port of the listener: {e}"))?;
        announce(address.port())?;
        loop {
            let accepted = listener.accept().await;
            let (stream, _) = accepted.map_err(|e| format!("cannot accept: {e}"))?;
            tokio::spawn(echo(stream));
        }
    })
}

/// Any error closes the connection.
async fn echo(mut stream: TcpStream) {
    let mut buffer = vec![0; BUFFER];
    while let Ok(got) = stream.read(&mut buffer).await {
        if got == 0 || stream.write_all(&buffer[..got]).await.is_err() {
            return;
        }
    }
}
