package com.amazonaws.ml.mms.util.codec;

import com.amazonaws.ml.mms.util.messages.ModelWorkerResponse;
import com.amazonaws.ml.mms.util.messages.Predictions;
import io.netty.buffer.ByteBuf;
import io.netty.channel.ChannelHandlerContext;
import io.netty.handler.codec.ByteToMessageDecoder;
import io.netty.handler.codec.CorruptedFrameException;
import java.util.ArrayList;
import java.util.List;

/**
 * Decodes the answer of a worker; replaces Multi Model Server 1.1.11's class of the same name.
 *
 * <p>A worker's answer arrives in pieces. The server's class reads the status of each answer in a batch before it
 * checks that the four bytes have arrived, so a piece that ends before them fails the whole batch. This class reads
 * nothing until the message is complete.
 *
 * <p>Format (mms/protocol/otf_message_handler.py), all numbers big-endian and 4 bytes long: code, message; for each
 * answer the request id, content type, status, reason phrase, count of headers, their names and values, body; then -1.
 * Each text and body follows its length.
 */
public class ModelResponseDecoder extends ByteToMessageDecoder {
    private static final int INT = 4;
    private static final int INCOMPLETE = -2;

    private final int maxLength;

    public ModelResponseDecoder(int maxLength) {
        this.maxLength = maxLength;
    }

    @Override
    protected void decode(ChannelHandlerContext context, ByteBuf in, List<Object> out) {
        if (isComplete(in)) {
            out.add(readResponse(in));
        }
    }

    /** Walks over the message without reading it. */
    private boolean isComplete(ByteBuf in) {
        int position = skipText(in, in.readerIndex() + INT);
        while (true) {
            int idLength = peekInt(in, position);
            if (idLength == INCOMPLETE) {
                return false;
            }
            if (idLength == CodecUtils.END) {
                return true;
            }
            position = skipText(in, skipText(in, position)); // request id, content type
            position = skipText(in, position == INCOMPLETE ? INCOMPLETE : position + INT); // status, reason
            int headers = peekInt(in, position);
            position = headers == INCOMPLETE ? INCOMPLETE : position + INT;
            for (int i = 0; i < 2 * headers && position != INCOMPLETE; i++) {
                position = skipText(in, position);
            }
            position = skipText(in, position); // body
        }
    }

    /** The position after a text, or INCOMPLETE. */
    private int skipText(ByteBuf in, int position) {
        int length = peekInt(in, position);
        if (length == INCOMPLETE) {
            return INCOMPLETE;
        }
        if (length < 0 || length > maxLength) {
            throw new CorruptedFrameException("length " + length + " in a worker's answer, limit " + maxLength);
        }
        // Compared by a difference, because a sum could overflow.
        return length > in.writerIndex() - position - INT ? INCOMPLETE : position + INT + length;
    }

    private static int peekInt(ByteBuf in, int position) {
        return position == INCOMPLETE || in.writerIndex() - position < INT ? INCOMPLETE : in.getInt(position);
    }

    private ModelWorkerResponse readResponse(ByteBuf in) {
        ModelWorkerResponse response = new ModelWorkerResponse();
        response.setCode(in.readInt());
        response.setMessage(readText(in));
        List<Predictions> predictions = new ArrayList<>();
        int idLength = in.readInt();
        while (idLength != CodecUtils.END) {
            Predictions prediction = new Predictions();
            prediction.setRequestId(CodecUtils.readString(in, idLength));
            prediction.setContentType(readText(in));
            prediction.setStatusCode(in.readInt());
            prediction.setReasonPhrase(readText(in));
            prediction.setHeaders(CodecUtils.readMap(in, in.readInt()));
            prediction.setResp(CodecUtils.read(in, in.readInt()));
            predictions.add(prediction);
            idLength = in.readInt();
        }
        response.setPredictions(predictions);
        return response;
    }

    private static String readText(ByteBuf in) {
        return CodecUtils.readString(in, in.readInt());
    }
}
