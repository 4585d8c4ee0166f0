//! A proxy as a network with faults: it forwards bytes from a server to a client at a limited
//! speed, and cuts connections after any byte. The server may change its address; the client keeps
//! using the proxy's. Counts the disconnects.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// The most bytes forwarded at a time.
const CHUNK_BYTES: usize = 8 * 1024;
/// A chunk holds at most this part of a second's bytes.
const PARTS_OF_A_SECOND: u64 = 50;

/// The faults of the network.
#[derive(Clone, Copy, Debug)]
pub struct NetworkFaults {
    /// The average number of bytes after which a connection is cut.
    pub cut_every_bytes: Option<u64>,
    /// The average number of bytes between two stalls of up to 300 ms.
    pub stall_every_bytes: Option<u64>,
    /// The speed, or `None` for no limit.
    pub bytes_per_second: Option<u64>,
}

impl NetworkFaults {
    pub const NONE: Self =
        Self { cut_every_bytes: None, stall_every_bytes: None, bytes_per_second: None };
}

struct Shared {
    upstream: Mutex<Option<SocketAddr>>,
    faults: Mutex<NetworkFaults>,
    is_over: AtomicBool,
    disconnects: AtomicU64,
    rng: Mutex<fastrand::Rng>,
}

/// The proxy of one server, ended on drop.
pub struct Proxy {
    /// The address for clients.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Starts a proxy without a server.
    pub fn start(faults: NetworkFaults, rng: fastrand::Rng) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("listen");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            upstream: Mutex::new(None),
            faults: Mutex::new(faults),
            is_over: AtomicBool::new(false),
            disconnects: AtomicU64::new(0),
            rng: Mutex::new(rng),
        });
        let state = Arc::clone(&shared);
        let accepting = std::thread::spawn(move || {
            for client in listener.incoming() {
                if state.is_over.load(Ordering::Relaxed) {
                    return;
                }
                let (Ok(client), state) = (client, Arc::clone(&state)) else { continue };
                std::thread::spawn(move || serve(client, &state));
            }
        });
        Self { address, shared, accepting: Some(accepting) }
    }

    /// Sets or removes the server.
    pub fn set_upstream(&self, upstream: Option<SocketAddr>) {
        *self.shared.upstream.lock().expect("no panic under it") = upstream;
    }

    /// Changes the faults of later connections.
    pub fn faults(&self, faults: NetworkFaults) {
        *self.shared.faults.lock().expect("no panic under it") = faults;
    }

    /// Returns how many connections ended while the client was running.
    pub fn disconnects(&self) -> u64 {
        self.shared.disconnects.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        let woken = TcpStream::connect(self.address).is_ok();
        if let Some(thread) = self.accepting.take().filter(|_| woken) {
            let _ = thread.join();
        }
    }
}

/// Serves one connection to its end.
fn serve(client: TcpStream, shared: &Shared) {
    let upstream = *shared.upstream.lock().expect("no panic under it");
    let Some(server) = upstream.and_then(|address| TcpStream::connect(address).ok()) else {
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let client_is_gone = AtomicBool::new(false);
    let (Ok(mut from), Ok(mut to)) = (client.try_clone(), server.try_clone()) else { return };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // If either direction ends, so does the other: usually because the client was killed.
            let _ = std::io::copy(&mut from, &mut to);
            client_is_gone.store(true, Ordering::Relaxed);
            let _ = to.shutdown(Shutdown::Both);
        });
        let was_served = forward(&server, &client, shared);
        if was_served && !client_is_gone.load(Ordering::Relaxed) {
            shared.disconnects.fetch_add(1, Ordering::Relaxed);
        }
        let _ = (client.shutdown(Shutdown::Both), server.shutdown(Shutdown::Both));
    });
}

/// Forwards bytes until either side closes or the faults cut the connection. Returns whether the
/// server had sent anything.
fn forward(mut server: &TcpStream, mut client: &TcpStream, shared: &Shared) -> bool {
    let faults = *shared.faults.lock().expect("no panic under it");
    let mut rng = shared.rng.lock().expect("no panic under it").fork();
    // Exponentially distributed: any byte may be the last.
    let mut draw = |every: Option<u64>| {
        every.map_or(u64::MAX, |every| (-(1.0 - rng.f64()).ln() * every as f64) as u64)
    };
    let mut until_cut = draw(faults.cut_every_bytes);
    let mut until_stall = draw(faults.stall_every_bytes);
    let most = faults.bytes_per_second.map_or(u64::MAX, |speed| speed / PARTS_OF_A_SECOND);
    let mut chunk = vec![0; CHUNK_BYTES.min(most as usize)];
    let mut was_served = false;
    loop {
        let Ok(read @ 1..) = server.read(&mut chunk) else { return was_served };
        was_served = true;
        let handed = (read as u64).min(until_cut);
        if client.write_all(&chunk[..handed as usize]).is_err() || handed < read as u64 {
            return was_served;
        }
        until_cut -= handed;
        if until_stall < handed {
            std::thread::sleep(Duration::from_millis(fastrand::u64(0..300)));
            until_stall = draw(faults.stall_every_bytes);
        }
        until_stall -= handed.min(until_stall);
        if let Some(speed) = faults.bytes_per_second {
            std::thread::sleep(Duration::from_micros(handed * 1_000_000 / speed));
        }
    }
}
