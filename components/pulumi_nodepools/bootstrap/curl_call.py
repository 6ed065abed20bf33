"""How a node without Python calls AWS: with a curl that signs requests by itself (7.88 or newer).

The same `aws_call` as that of `signed_call`. Keys and values go to curl by standard input: a program's arguments can be
read by every process.
"""

SHELL = r"""
aws_key() {
    printf '%s' "$keys" | sed -nE 's/.*"'"$1"'" *: *"([^"]*)".*/\1/p'
}

# The request as curl's configuration, in which quotes and backslashes are escaped.
aws_request() {
    printf 'user = "%s:%s"\n' "$(aws_key AccessKeyId)" "$(aws_key SecretAccessKey)"
    printf 'header = "X-Amz-Security-Token: %s"\n' "$(aws_key Token)"
    case "$service" in
    ssm) target=AmazonSSM ;;
    secretsmanager) target=secretsmanager ;;
    ec2) set -- Version=2016-11-15 "$@" && target='' ;;
    *) set -- Version=2011-01-01 "$@" && target='' ;;
    esac
    if [ -z "$target" ]; then
        for pair in "Action=$action" "$@"; do
            printf 'data-urlencode = "%s"\n' "$(printf '%s' "$pair" | sed 's/["\\]/\\&/g')"
        done
        return
    fi
    json=''
    for pair in "$@"; do
        value="${pair#*=}"
        [ "$value" = true ] || value="\\\"$value\\\""
        json="$json${json:+,}\\\"${pair%%=*}\\\":$value"
    done
    printf 'header = "Content-Type: application/x-amz-json-1.1"\n'
    printf 'header = "X-Amz-Target: %s.%s"\ndata-raw = "{%s}"\n' "$target" "$action" "$json"
}

# aws_call SERVICE ACTION NAME=VALUE ...: prints the value that was asked for.
aws_call() {
    service=$1
    action=$2
    shift 2
    { role=$(imds iam/security-credentials/) && keys=$(imds "iam/security-credentials/$role"); } || return 1
    case "$region" in cn-*) domain=amazonaws.com.cn ;; *) domain=amazonaws.com ;; esac
    answer=$(aws_request "$@" | curl -sS --fail-with-body --max-time 20 --aws-sigv4 "aws:amz:$region:$service" -K - \
        "${NODEPOOLS_ENDPOINT:-https://$service.$region.$domain}/") || {
        say "$service $action: $(printf '%s' "$answer" | tr '\n' ' ' | cut -c 1-300)"
        return 1
    }
    printf '%s' "$answer" | sed -nE 's/.*"(SecretString|Value)" *: *"([^"]*)".*/\2/p'
}
"""
