//! How a client over HTTP/2 is served: windows, pings, and bounds on cancelled calls and small frames.

use std::time::Duration;

use hyper_util::{rt::TokioTimer, server::conn::auto::Http2Builder};

use super::{limits::Clients, reading::TURN};

/// Bytes of an answer that may wait for a slow client.
const SEND_BUFFER: usize = 64 * 1024;
/// How often a client is sent a ping.
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// How long it may take to answer one.
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// Calls that a client may have open at the same time on one connection. The client itself delays further ones.
pub const STREAMS: u32 = 200;

/// Bytes of a call's request that may be unread. With so many, the client waits: this window, and not the connection's, is
/// what holds a fast sender back.
///
/// HTTP/2's own initial window (RFC 9113, section 6.9.2), and no smaller one: h2 (0.4.20) can stop a call for ever when
/// its client has sent between a smaller window and 21,845 bytes before it received our settings. The settings make the
/// client's window negative then, and h2 looks for what it owes the client only when further bytes are read.
///
/// Small compared to the connection's window, because h2 does not make a client wait that sends small frames, it ends
/// the connection: `GOAWAY ENHANCE_YOUR_CALM`, `too_many_data_frames`. Each unread DATA frame of fewer than 256 bytes
/// counts for 256 less its length, which is given back when the frame is read; together they may count for half of the
/// connection's window. That is how many small frames it keeps in memory, where each takes some 256 bytes in addition to its own.
pub const STREAM_WINDOW: u32 = 65_535;
/// The length of the smallest frames with which an internal client may fill the windows of all its calls at once. The
/// shortest record has 39 bytes with its source and gRPC's header.
const SMALL_FRAME: u64 = 32;
const _: () = assert!(
    (256 - SMALL_FRAME) * STREAMS as u64 * STREAM_WINDOW as u64 / SMALL_FRAME
        < connection_window(Clients::Internal) as u64 / 2
);

/// Bytes of all calls of a connection that may be unread. No client waits for this window, because the windows of all its
/// calls together are smaller; it sets h2's budget of small frames.
const fn connection_window(clients: Clients) -> u32 {
    match clients {
        // 130 MB of unread frames of one byte. No connection of a sender of records is ended because it sends fast, see
        // SMALL_FRAME. The rest of the budget, 42,000,000, is for frames to calls that were answered before their end,
        // e.g. because of a wrong token: h2 counts them for the life of the connection. That is 210,000 records of 60 bytes.
        Clients::Internal => 1 << 28,
        // 17 MB of them. No request to such a port is a stream: each has a few hundred bytes, and is read at once.
        Clients::Public => 1 << 25,
    }
}

/// Frames of one byte that a connection of these clients may have unread, about; one more ends the connection.
pub const fn unread_frames(clients: Clients) -> u32 {
    connection_window(clients) / 2 / 255
}

/// Calls that a client may open and cancel before they are accepted; one more ends the connection (`too_many_resets`,
/// against CVE-2023-44487). It cannot happen: calls are accepted after each [`TURN`] of bytes, and a cancelled call has 25
/// bytes (headers of 9 + 3, and a reset of 9 + 4), so there are 328 at most. A client that cancels many calls is slowed
/// down instead, because other calls on the same connection may be in order.
const RESETS_IN_A_TURN: usize = 2 * STREAMS as usize;
const _: () = assert!(TURN / 25 + 1 < RESETS_IN_A_TURN);

/// Frames that a client may send to calls that have ended, over a connection's life; one more ends the connection
/// (`too_many_internal_resets`, against CVE-2025-8671). h2 remembers 50 such calls for a second, and counts each frame to a
/// further one. A client that streams records of 60 bytes on all its calls, and gets an early answer to all of them, has
/// 201,600 of them on their way: 200 × 65,535 / 65.
pub const LATE_FRAMES: usize = STREAMS as usize * (STREAM_WINDOW as usize / 64);

/// Sets the bounds for these clients.
pub(super) fn configure<E>(mut http2: Http2Builder<'_, E>, clients: Clients) {
    http2
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(connection_window(clients))
        .max_pending_accept_reset_streams(RESETS_IN_A_TURN)
        .max_local_error_reset_streams(LATE_FRAMES)
        .max_send_buf_size(SEND_BUFFER)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
}
