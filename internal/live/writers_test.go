package live

import "testing"

// What several writers write to one series is in no single writer's numbers.
func TestWhatAWriterWithoutNumbersHasWrittenToASourcesSeriesIsInTheGap(t *testing.T) {
	play(t, `
		publish 5
		write 2
		publish 3
		mark lost
		restart 8s
			write 3
			publish 1
			trim 1
		publish 60
		expect gap S=0 reason=log_trimmed from<=lost to>=lost+3s
	`)
}

func TestWhatASourceHasDroppedOfASeriesThatAnotherWroteLastIsInTheGap(t *testing.T) {
	play(t, `
		series 0 1
		publish 3
		publish 3 1
		mark lost
		drop 2 1
		publish 2
		series 1 1
		publish 1 1
		expect gap S=0 reason=source_dropped from<=lost to>=lost+2s
	`)
}

// The next life of a server finds out which series lacked what their source lacked, and tells of
// each hole by itself.
func TestTwoHolesOfASourceAreTwoGapsAfterARestart(t *testing.T) {
	play(t, `
		publish 10
		drop 3
		publish 60
		mark between
		publish 60
		drop 3
		publish 3
		expect clear between
		restart 4s
			publish 2
			trim 1
		publish 30
		expect clear between
	`)
}
