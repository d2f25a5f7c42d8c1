package push

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/protocol/restjson"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"example.org/realtime/shared/realtime"
)

// answered is what an answer other than 2xx to a post means.
func answered(resp *http.Response, body []byte) error {
	code, message := resp.Header.Get("X-Amzn-Errortype"), ""
	if bodyCode, bodyMessage, err := restjson.GetErrorInfo(json.NewDecoder(bytes.NewReader(body))); err == nil {
		message = bodyMessage
		if code == "" {
			code = bodyCode
		}
	}
	return failure(resp.StatusCode, restjson.SanitizeErrorCode(code), message)
}

// unknown is the SDK's word for a code or message that an answer does not have.
const unknown = "UnknownError"

// translated is an error of the SDK's client in the words of this package.
func translated(err error) error {
	if resp, ok := errors.AsType[*awshttp.ResponseError](err); ok && resp.HTTPStatusCode()/100 > 2 {
		code, message := "", ""
		if api, ok := errors.AsType[smithy.APIError](err); ok {
			code, message = api.ErrorCode(), api.ErrorMessage()
		}
		code, message = strings.TrimPrefix(code, unknown), strings.TrimPrefix(message, unknown)
		return failure(resp.HTTPStatusCode(), code, message)
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err // without the URL
	}
	return err
}

// failure is what a status other than 2xx means, with the code and message that came with it.
func failure(status int, code, message string) error {
	switch {
	case status == http.StatusGone, strings.EqualFold(code, "GoneException"):
		return realtime.ErrGone
	case strings.EqualFold(code, "BadRequestException") && message == "Invalid connectionId": // it cannot have been here
		return realtime.ErrGone
	case status == http.StatusTooManyRequests, strings.EqualFold(code, "LimitExceededException"):
		return realtime.ErrThrottled
	}
	text := strings.TrimSpace(fmt.Sprintf("status %d %s %s", status, code, message))
	if status/100 == 4 {
		return fmt.Errorf("%w: %s", realtime.ErrRejected, text)
	}
	return errors.New(text)
}
