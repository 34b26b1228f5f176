# Writes OUTPUT, the C source of api/openapi_document.h, from the OpenAPI document INPUT. The build stops where that
# is not JSON or speaks of another version of the daemon than VERSION.
file(READ ${INPUT} text)
string(JSON said ERROR_VARIABLE error GET "${text}" info version)
if(error)
    message(FATAL_ERROR "${INPUT}: ${error}")
elseif(NOT said STREQUAL VERSION)
    message(FATAL_ERROR "${INPUT}: info.version is ${said}, the daemon's is ${VERSION}")
endif()
file(READ ${INPUT} bytes HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
string(REGEX REPLACE "((0x..,){20})" "\\1\n    " bytes "${bytes}")
file(WRITE ${OUTPUT} "#include \"api/openapi_document.h\"\n\nconst char openapi_document[] = {\n    ${bytes}\n};\n"
    "const size_t openapi_document_len = sizeof openapi_document;\n")
