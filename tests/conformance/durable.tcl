# Sourced by the suite's test_helper.tcl (in our private copy) after its own procedures.
#
# The suite gives up a whole start_server block, or a whole unit, when a command outside a test raises an error.
# Against a server that lacks a feature this would hide every test that follows. Here such blocks and files run
# command by command: an error outside a test is reported under its own name and the next command goes on.

# Evaluate SCRIPT in the caller's frame, one top-level command after the other.
proc run_durably {script} {
    set command ""
    foreach line [split $script "\n"] {
        append command $line "\n"
        if {[string index $line end] eq "\\" || ![info complete $command]} continue
        set code [catch {uplevel 1 $command} result options]
        if {$code == 1} {
            report_outside_of_tests $command $result
        } elseif {$code != 0} {
            return -options $options $result
        }
        set command ""
    }
}

proc report_outside_of_tests {command error} {
    set first [string trim [lindex [split [string trim $command] "\n"] 0]]
    incr ::num_failed
    send_data_packet $::test_server_fd err "outside of tests: $first in $::curfile\n$error"
}

rename start_server suite_start_server
proc start_server {options {code undefined}} {
    # Inside a test an error must reach the test.
    if {$code ne "undefined" && $::cur_test eq ""} {
        set code [list run_durably $code]
    }
    uplevel 1 [list suite_start_server $options $code]
}

rename tags suite_tags
proc tags {tags code} {
    if {$::cur_test eq ""} {
        set code [list run_durably $code]
    }
    uplevel 1 [list suite_tags $tags $code]
}

proc execute_test_file __testname {
    set ::curfile "tests/$__testname.tcl"
    set channel [open $::curfile]
    set script [read $channel]
    close $channel
    uplevel #0 [list run_durably $script]
    send_data_packet $::test_server_fd done "$__testname"
}

# Wait until the server has logged its pid; 1 if the port was busy. The suite's own procedure waits two minutes
# for a server that has exited long ago.
proc wait_server_started {config_file stdout pid} {
    for {set waited 0} {$waited < 30000} {incr waited 20} {
        set log [exec cat $stdout]
        if {[regexp -- " PID: $pid" $log]} {return 0}
        if {[regexp {Failed listening on port} $log]} {return 1}
        if {[catch {exec kill -0 $pid}]} break
        after 20
    }
    start_server_error $config_file "The server did not start:\n[exec tail -n 20 $stdout]"
    error "the server did not start"
}

# Since Redis 7.2 a short list is a listpack, which the suite of 7.0 does not know; what it asks lists otherwise holds for
# both forms.
rename assert_encoding suite_assert_encoding
proc assert_encoding {enc key} {
    if {$enc eq "quicklist" && [r object encoding $key] eq "listpack"} {
        set enc listpack
    }
    uplevel 1 [list suite_assert_encoding $enc $key]
}
