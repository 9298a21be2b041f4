// Package collect measures this host: what psutil was to the ancestor.
//
// Guarantees:
//
//  1. There is one batch per tick, and ticks are the multiples of the interval
//     since the Unix epoch, so that hosts measure together and nothing drifts.
//     Every sample of a batch has the tick as its time.
//  2. A tick that is a whole interval late (machine suspended, process
//     stopped) is skipped, never made up for in a burst. When the wall clock is
//     set, the ticks follow it.
//  3. Use and rates are measured over the time that really passed between the
//     last two readings. They have no value at the first tick, and none where
//     a counter went back (reset, wrapped, device replaced): no rate is ever
//     negative.
//  4. What this system lacks is left out with one log line, and appears when
//     the system has it.
//  5. Measuring never waits for the bus. Batches wait in a queue of at most
//     1,000 batches and 4 MiB; when it is full the oldest is dropped, counted
//     and logged once per episode. The jump in Seq that this leaves is what
//     servers declare as a gap.
//  6. One Publish is in flight, in the order of Seq. A batch that was refused
//     is tried again, unchanged, until it is taken or dropped.
//
// The series, all of them with the label host. Values are rounded to what can
// be told apart, because each digit is sent to every viewer.
//
//	cpu_usage_percent{cpu="total"|"0"|"1"...}   0 to 100, 2 decimals; waiting for disks is not use
//	load1, load5, load15                        2 decimals
//	memory_used_bytes                           total - available
//	memory_available_bytes, memory_total_bytes
//	swap_used_bytes
//	disk_read_bytes_per_second{device}          integers, as all byte rates
//	disk_write_bytes_per_second{device}
//	network_receive_bytes_per_second{device}
//	network_transmit_bytes_per_second{device}
//
// Linux counts CPU time in hundredths of a second, so at an interval of 50 ms
// the use of one core moves in steps of about 20 %.
package collect
