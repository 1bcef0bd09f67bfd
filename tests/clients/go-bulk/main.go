// Sends many records at once on a few streams of one connection, and counts the answers; other calls are made at the same time, as long
// as that takes. The messages are written by hand, so that no generator is needed.
//
//	go run . 127.0.0.1:50051 8 10000
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protowire"
)

const service = "/ringpad.v1.IngestService/"

// Hands messages over as they are.
type bytesCodec struct{}

func (bytesCodec) Name() string                        { return "proto" }
func (bytesCodec) Marshal(message any) ([]byte, error) { return *message.(*[]byte), nil }
func (bytesCodec) Unmarshal(data []byte, message any) error {
	*message.(*[]byte) = append([]byte(nil), data...)
	return nil
}

func text(to []byte, number protowire.Number, value string) []byte {
	return protowire.AppendString(protowire.AppendTag(to, number, protowire.BytesType), value)
}

// A request of IngestCall and IngestCallStream.
func record(seq string) []byte {
	cdr := text(nil, 1, seq)
	cdr = text(cdr, 2, time.Now().In(time.FixedZone("KST", 9*3600)).Format("20060102150405"))
	cdr = text(cdr, 4, "01012345678")
	cdr = text(cdr, 5, "050712345678")
	request := text(nil, 1, "bizcall")
	return protowire.AppendBytes(protowire.AppendTag(request, 2, protowire.BytesType), cdr)
}

func send(connection *grpc.ClientConn, run string, stream, records int, answered *atomic.Int64) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	description := &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}
	call, err := connection.NewStream(ctx, description, service+"IngestCallStream")
	if err != nil {
		return err
	}
	go func() {
		for index := range records {
			message := record(fmt.Sprintf("%s-%d-%d", run, stream, index))
			// Its error is told by RecvMsg.
			if call.SendMsg(&message) != nil {
				return
			}
		}
		if err := call.CloseSend(); err != nil {
			log.Print(err)
		}
	}()
	for {
		var answer []byte
		switch err := call.RecvMsg(&answer); err {
		case nil:
			// The second field is the status; with an error in its place the record was not taken.
			if _, _, length := protowire.ConsumeField(answer); length > 0 && len(answer) > length && answer[length] == 2<<3 {
				answered.Add(1)
			}
		case io.EOF:
			return nil
		default:
			return err
		}
	}
}

func main() {
	streams, err1 := strconv.Atoi(os.Args[2])
	records, err2 := strconv.Atoi(os.Args[3])
	connection, err3 := grpc.NewClient(os.Args[1], grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(bytesCodec{})))
	if err1 != nil || err2 != nil || err3 != nil {
		log.Fatal(err1, err2, err3)
	}
	run := strconv.FormatInt(time.Now().UnixNano(), 36)
	begun := time.Now()
	var answered, single, singleFailed atomic.Int64
	done := make(chan struct{})
	var group, besides sync.WaitGroup
	besides.Go(func() {
		for index := 0; ; index++ {
			select {
			case <-done:
				return
			case <-time.After(10 * time.Millisecond):
			}
			ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
			request, answer := record(fmt.Sprintf("%s-single-%d", run, index)), []byte(nil)
			if connection.Invoke(ctx, service+"IngestCall", &request, &answer) == nil {
				single.Add(1)
			} else {
				singleFailed.Add(1)
			}
			cancel()
		}
	})
	for stream := range streams {
		group.Go(func() {
			if err := send(connection, run, stream, records, &answered); err != nil {
				log.Printf("stream %d: %v", stream, err)
			}
		})
	}
	group.Wait()
	close(done)
	besides.Wait()
	fmt.Printf("go: %d of %d answered in %.1f s; single calls: %d answered, %d failed\n",
		answered.Load(), streams*records, time.Since(begun).Seconds(), single.Load(), singleFailed.Load())
	if answered.Load() != int64(streams*records) || singleFailed.Load() != 0 {
		os.Exit(1)
	}
}
