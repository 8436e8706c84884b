package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdaurl"
)

// A body of two pieces, between which it waits; it fails after them if fails is set.
func body(fails bool) io.Reader {
	reader, writer := io.Pipe()
	go func() {
		fmt.Fprint(writer, "one ")
		time.Sleep(200 * time.Millisecond)
		if fails {
			writer.CloseWithError(errors.New("amid the response"))
			return
		}
		fmt.Fprint(writer, "two")
		writer.Close()
	}()
	return reader
}

func stream(_ context.Context, request *events.LambdaFunctionURLRequest) (*events.LambdaFunctionURLStreamingResponse, error) {
	if request.RawPath == "/early" {
		return nil, errors.New("before the response")
	}
	return &events.LambdaFunctionURLStreamingResponse{
		StatusCode: http.StatusAccepted,
		Headers:    map[string]string{"X-Path": request.RawPath},
		Cookies:    []string{"a=1", "b=2"},
		Body:       body(request.RawPath == "/throw"),
	}, nil
}

func serve(answer http.ResponseWriter, request *http.Request) {
	answer.Header().Set("X-Path", request.URL.Path)
	answer.Header().Set("Content-Type", "text/plain")
	answer.Header().Add("Set-Cookie", "a=1")
	answer.Header().Add("Set-Cookie", "b=2")
	answer.WriteHeader(http.StatusAccepted)
	fmt.Fprint(answer, "one ")
	if request.URL.Path == "/throw" {
		panic("amid the response")
	}
	time.Sleep(200 * time.Millisecond)
	fmt.Fprint(answer, "two")
}

func whole(_ context.Context, request *events.LambdaFunctionURLRequest) (map[string]any, error) {
	return map[string]any{"statusCode": 201, "body": request.RawPath}, nil
}

func main() {
	switch os.Getenv("_HANDLER") {
	case "lambdaurl":
		lambdaurl.Start(http.HandlerFunc(serve))
	case "whole":
		lambda.Start(whole)
	default:
		lambda.Start(stream)
	}
}
