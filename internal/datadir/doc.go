// Package datadir is what every directory of ours on disk needs: one owner at a time,
// files that are replaced in one step, and whether the machine was started since.
//
// A directory holds, beside its owner's files:
//
//	LOCK          locked by the process that has the directory
//	running.json  that process's {"pid":4711,"address":"http://127.0.0.1:5000","boot":"..."};
//	              a clean Release removes it, so the next owner notices a kill
//
// They are two files because Windows does not let other processes read a locked one.
//
// A file that several processes change, one after the other, has a lock of its own (TakeFile).
package datadir
