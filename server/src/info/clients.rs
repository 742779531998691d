//! `# Clients`: who is connected.

use super::fields;

fields! { f =>
    "connected_clients" = f.clients.connected,
    "cluster_connections" = 0,
    "maxclients" = f.settings.maxclients,
    "client_recent_max_input_buffer" = f.clients.longest_input,
    "client_recent_max_output_buffer" = f.clients.longest_output,
    "blocked_clients" = f.clients.waiting,
    "tracking_clients" = 0,
    "pubsub_clients" = 0,
    "watching_clients" = f.clients.watching,
    "clients_in_timeout_table" = f.clients.timed,
    "total_watched_keys" = f.keys.watched,
    "total_blocking_keys" = f.keys.waited_for,
    "total_blocking_keys_on_nokey" = 0,
    "paused_reason" = if f.paused_actions() == "none" { "none" } else { "client_pause" },
    "paused_actions" = f.paused_actions(),
    "paused_timeout_milliseconds" = f.paused_ms(),
}
