FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
RUN CGO_ENABLED=0 go build -trimpath -ldflags="-s -w -X main.version=${VERSION}" -o /crmsync ./cmd/crmsync \
    && mkdir /data && chown 65532:65532 /data

# Nothing but the program and the certificates of public authorities: no shell,
# not root.
FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /crmsync /crmsync
COPY --from=build --chown=65532:65532 /data /data
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/crmsync"]
CMD ["serve", "--config", "/etc/crmsync/crmsync.yaml"]
