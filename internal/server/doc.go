// Package server is the HTTP side of Stripchart: the page, Socket.IO, health and
// metrics, behind the checks that keep strangers out. It ties package live to
// package socketio; neither knows the other.
package server
