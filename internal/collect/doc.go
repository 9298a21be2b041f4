// Package collect measures this host, as psutil does for Python programs.
//
// Guarantees:
//
//  1. There is one batch per tick, and ticks are the multiples of the interval
//     since the Unix epoch, so that hosts measure together and nothing drifts.
//     Every sample of a batch has the tick as its time. Values that change slowly, are
//     expensive to read or may hang are measured in rounds, at the multiples of 10 s
//     (or of the interval, if that is longer). Each round is one more batch.
//  2. A tick that is a whole interval late (machine suspended, process
//     stopped) is skipped; there is no burst of late ticks. When the wall clock is set,
//     the ticks follow it.
//  3. Use and rates are measured over the time that really passed between the
//     last two readings. They have no value at the first tick, and none where
//     a counter went back (reset, wrapped, device replaced): no rate is ever
//     negative.
//  4. A measurement that this system does not have is left out with one log line. It
//     appears when the system has it.
//  5. A filesystem or sensor that does not answer (a dead file server) delays no
//     other series, and not the end of Run. A round waits for it for 2 s; later rounds leave
//     it out until it has answered. At most 64 filesystems and 32 sensors are measured: the
//     first ones that the system lists.
//  6. Measuring never waits for the bus. Batches wait in a queue of at most
//     1,000 batches and 4 MiB; when it is full the oldest is dropped, counted
//     and logged once per episode. This leaves a hole in Seq, for which servers declare a
//     gap.
//  7. One Publish is in flight, in the order of Seq. A batch that was not acknowledged is
//     published again, unchanged, until it is acknowledged or dropped.
//  8. Batches that feeds bring (Options.Feeds) share source, sequence and queue. Run ends after its feeds,
//     and publishes what they brought last.
//
// The series follow; all have the label host. Values are rounded to their useful
// precision, because each digit is sent to every viewer.
//
//	cpu_usage_percent{cpu="total"|"0"|"1"...}   0 to 100, 2 decimals, as all percentages; waiting for disks is not use
//	cpu_mode_percent{mode="user"|"system"...}   all cores together; the modes make 100
//	load1, load5, load15                        2 decimals
//	memory_used_bytes                           total - available
//	memory_available_bytes, memory_total_bytes
//	memory_cached_bytes                         contents of files, most of them part of the available
//	swap_used_bytes
//	processes_running, processes_blocked        at the tick: threads that run or could, and that wait for a disk (Linux)
//	pressure_some_percent{resource="cpu"|"memory"|"io"}  share of the time in which some task waited for it (Linux)
//	disk_read_bytes_per_second{device}          integers, as all byte rates
//	disk_write_bytes_per_second{device}
//	disk_busy_percent{device}                   share of the time in which it had anything to do (Linux, FreeBSD)
//	network_receive_bytes_per_second{device}
//	network_transmit_bytes_per_second{device}
//
// And in rounds:
//
//	filesystem_size_bytes{mountpoint,fstype}    of what is on a device, on a server or in a pool, once each
//	filesystem_used_bytes{mountpoint,fstype}
//	filesystem_used_percent{mountpoint,fstype}  of what users may use, as df counts
//	processes                                   Linux
//	temperature_celsius{sensor}                 not on Windows; a second sensor of a name has _2 behind it
//
// The modes are user, nice, system, irq, softirq, steal, iowait and idle. A mode in which
// the machine has spent no time is left out.
//
// Linux counts CPU time in hundredths of a second, so at an interval of 50 ms
// the use of one core moves in steps of about 20 %.
package collect
