package gateway

import "time"

// The kinds of an Event. Those of the management API are the operations' names, as Fault gets them.
const (
	KindHandshake      = "handshake" // a client asks for a connection: KindConnect or KindReject follows
	KindConnect        = "connect"   // a handshake was accepted: the 101 follows
	KindReject         = "reject"    // a handshake was refused with Status
	KindMessage        = "message"   // a client's message of Bytes selected RouteKey ("" = none)
	KindInvoke         = "invoke"    // Function answered, or failed with Err, after Duration
	KindReply          = "reply"     // the gateway itself sends a frame: an error frame, or a two-way route's body
	KindClose          = "close"     // the connection ended with Code and Reason because of Cause; $disconnect follows
	KindLostDisconnect = "lost"      // LoseDisconnect took the $disconnect

	PostToConnection = "PostToConnection" // Bytes were answered with Status after Duration
	GetConnection    = "GetConnection"    // answered with Status
	DeleteConnection = "DeleteConnection" // answered with Status
)

// The causes of KindClose.
const (
	CauseClient   = "client"   // the client sent a close frame
	CauseDrop     = "drop"     // the TCP connection broke
	CauseIdle     = "idle"     // Timers.Idle
	CauseLife     = "life"     // Timers.Life
	CauseDelete   = "delete"   // DeleteConnection
	CauseShutdown = "shutdown" // Close
	CauseInput    = "input"    // the client sent what Err says, which a WebSocket API does not take
)

// Event is one thing that happened. What its Kind does not mention is zero, but for the ids, the route and the function.
type Event struct {
	Kind         string
	Time         time.Time
	ConnectionID string // "" only for a management request with a malformed one
	RequestID    string // of the event that a function got, or of the management request; "" for KindConnect and KindClose

	// TraceID is the Root of X-Amzn-Trace-Id. A handshake, a message and an end begin a trace, which the functions that they invoke go on
	// with; a management request belongs to the one that it names, with the invocation that makes it as Segment, or to none ("").
	TraceID, Segment string

	RouteKey string
	Function string
	Duration time.Duration
	Bytes    int
	Body     []byte // of PostToConnection: Bytes long, and not to be changed
	Status   int
	Code     int
	Reason   string
	Cause    string
	Err      error // why it went wrong; nil when it did not
}

func (g *Gateway) observe(e Event) {
	if g.cfg.Observe != nil {
		e.Time = g.cfg.Now()
		g.cfg.Observe(e)
	}
}

// Fault is what happens to one management operation instead of, or besides, what should. The zero Fault is none.
type Fault struct {
	Delay  time.Duration // before the operation, which is not carried out when the caller gives up first: a long one is a timeout
	Cut    bool          // the client's socket is cut first, without a close frame: the connection is then truly gone
	Status int           // answered instead of the operation: 403, 410 (of a connection that lives on), 413, 429, 500; 0 = none
	After  bool          // the operation is carried out before Delay, and only its answer is lost or replaced by Status
}
