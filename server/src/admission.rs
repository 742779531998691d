//! Who may connect: `maxclients` and protected mode.

use std::sync::atomic::Ordering::Relaxed;

use crate::config::Settings;
use crate::executor::Executor;
use crate::os::platform::Socket;

pub const TOO_MANY: &str = "-ERR max number of clients reached\r\n";

pub const PROTECTED: &str = "-DENIED Redis is running in protected mode because protected mode is enabled and no \
password is set for the default user. In this mode connections are only accepted from the loopback interface. If \
you want to connect from external computers to Redis you may adopt one of the following solutions: 1) Just disable \
protected mode sending the command 'CONFIG SET protected-mode no' from the loopback interface by connecting to Redis \
from the same host the server is running, however MAKE SURE Redis is not publicly accessible from internet if you do \
so. Use CONFIG REWRITE to make this change permanent. 2) Alternatively you can just disable the protected mode by \
editing the Redis configuration file, and setting the protected mode option to 'no', and then restarting the server. \
3) If you started the server manually just for testing, restart it with the '--protected-mode no' option. 4) Setup \
an authentication password for the default user. NOTE: You only need to do one of the above things in order for the \
server to start accepting connections from the outside.\r\n";

/// Somebody has a browser talk to us. The connection is closed without a word; the log tells of it once a minute.
#[cold]
pub fn report_attack(exec: &Executor, address: &str) {
    const QUIET_MS: i64 = 60_000;
    let last = exec.server.attack_reported_ms.load(Relaxed);
    if exec.now_ms - last > QUIET_MS {
        exec.server.attack_reported_ms.store(exec.now_ms, Relaxed);
        crate::log::warning(format_args!(
            "Possible SECURITY ATTACK detected. It looks like somebody is sending POST or Host: commands to Redis. \
             This is likely due to an attacker attempting to use Cross Protocol Scripting to compromise your Redis \
             instance. Connection from {address} aborted."
        ));
    }
}

/// Whether protected mode keeps a connection out: it comes from another host, and nobody needs a password.
pub fn is_exposed(socket: &dyn Socket, settings: &Settings) -> bool {
    settings.protected_mode && settings.requirepass.is_none() && !socket.is_local()
}
