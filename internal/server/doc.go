// Package server is the HTTP side of Stripchart: the page, Socket.IO, health and
// metrics, behind checks of Host and Origin (guard.go), and of the token (accept.go). It connects package live with package socketio;
// neither imports the other.
package server
