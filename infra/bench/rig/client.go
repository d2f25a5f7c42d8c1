package rig

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/coder/websocket"
	"github.com/golang-jwt/jwt/v5"

	"example.org/realtime/infra/local/stack"
	"example.org/realtime/shared/contract"
	"example.org/realtime/shared/wire"
)

const agent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"

// Token lets a user in for an hour.
func Token(user string) (string, error) {
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"sub": user, "exp": time.Now().Add(time.Hour).Unix()}).SignedString([]byte(stack.LocalSecret))
	if err != nil {
		return "", fmt.Errorf("token of %s: %w", user, err)
	}
	return token, nil
}

// Client is a connection of which only what it sends is looked at.
type Client struct {
	rig  *Rig
	conn *websocket.Conn
	read chan struct{}
}

// Connect connects a user and returns when everything that follows is done.
func (r *Rig) Connect(ctx context.Context, user string, protocol wire.Protocol) (*Client, error) {
	token, err := Token(user)
	if err != nil {
		return nil, err
	}
	query := url.Values{"token": {token}}
	if protocol == wire.SocketIO {
		query = url.Values{"EIO": {"4"}, "transport": {"websocket"}}
	}
	conn, _, err := websocket.Dial(ctx, r.Stack.URL+"?"+query.Encode(), &websocket.DialOptions{HTTPHeader: http.Header{"User-Agent": {agent}}}) //nolint:bodyclose // of a handshake
	if err != nil {
		return nil, fmt.Errorf("connect %s: %w", user, err)
	}
	c := &Client{rig: r, conn: conn, read: make(chan struct{})}
	go func() {
		defer close(c.read)
		for {
			if _, _, err := conn.Read(context.WithoutCancel(ctx)); err != nil {
				return // Close ends it
			}
		}
	}()
	if protocol == wire.SocketIO {
		if err := r.Settle(ctx); err != nil { // its open packet has been posted
			return c, err
		}
		if err := c.Send(ctx, "40"+contract.Namespace+`,{"token":"`+token+`"}`); err != nil {
			return c, err
		}
	}
	return c, r.Settle(ctx)
}

// Send sends a message and returns when a function has handled it.
func (c *Client) Send(ctx context.Context, message string) error {
	var before int
	c.rig.meter.locked(func() { before = c.rig.meter.heard })
	if err := c.conn.Write(ctx, websocket.MessageText, []byte(message)); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	err := c.rig.until(ctx, "the gateway gets a message", func() (heard bool) {
		c.rig.meter.locked(func() { heard = c.rig.meter.heard > before })
		return heard
	})
	if err != nil {
		return err
	}
	return c.rig.Settle(ctx)
}

// Close ends the connection and returns when everything that follows is done.
func (c *Client) Close(ctx context.Context) error {
	var before int
	c.rig.meter.locked(func() { before = c.rig.meter.gone })
	_ = c.conn.Close(websocket.StatusNormalClosure, "") // what counts is that it is gone
	<-c.read
	err := c.rig.until(ctx, "the gateway notices the end", func() (gone bool) {
		c.rig.meter.locked(func() { gone = c.rig.meter.gone > before })
		return gone
	})
	if err != nil {
		return err
	}
	return c.rig.Settle(ctx)
}
